/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Start-up, in the order that matters: arguments; the log and all sockets; then the sandbox, stage by stage
 * (proxy/net/sandbox.h), for whose last one the threads wait at a gate. After that the first thread is the control
 * (proxy/net/control.h), until every worker has drained; the log's thread ends last, with every line written.
 */
#include "proxy/log/metrics.h"
#include "proxy/log/sink.h"
#include "proxy/net/control.h"
#include "proxy/net/options.h"
#include "proxy/net/sandbox.h"
#include "proxy/net/worker.h"
#include "proxy/tls/context.h"
#include "redirect/base/error.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#define PROGRAM_VERSION "0.1.0"

enum exit_status { STATUS_OK = 0, STATUS_FAILED = 1, STATUS_USAGE = 2 };

struct thread {
	struct proxy *proxy;
	void (*run)(struct proxy *proxy, struct worker *worker);
	struct worker *worker; /* NULL: it is none */
	pthread_t id;
};

struct proxy {
	struct options options;
	struct metrics metrics;
	struct sink sink;
	struct control control;
	struct configuration_source source;
	struct arena labels; /* of the pod */
	struct name_servers name_servers;
	struct resolver *resolver; /* owned; NULL without a configuration */
	struct worker *workers; /* owned */
	uint32_t worker_count;  /* that were initialised */
	struct thread threads[2 + OPTIONS_CONCURRENCY_MAX]; /* the log's first, the resolver's second, if there is one */
	uint32_t thread_count;
	uint32_t first_worker; /* its place among the threads */
	sem_t arrived; /* threads at the gate */
	sem_t gate;
	bool failed; /* who passes the gate goes home */
};

/* Each connection takes two descriptors, and the usual soft limit is 1,024. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static bool has_configuration(const struct proxy *proxy)
{
	return proxy->options.mesh_config != NULL || proxy->options.config_dir != NULL;
}

/* The configuration, and the resolver that knows its names. */
static int open_configuration(struct proxy *proxy, struct error *e)
{
	const struct options *options = &proxy->options;
	const struct resolver_settings settings = {.refresh_rate = RESOLVER_REFRESH_RATE};
	struct policy_options policy = {.namespace_ = options->namespace_};
	int rc = options->pod_labels != NULL ? configuration_read_labels(&proxy->labels, options->pod_labels, &policy.labels, e) : 0;

	if (rc == 0)
		rc = configuration_open(&proxy->source, options->mesh_config, options->config_dir, &policy, e);
	if (rc == 0)
		rc = name_servers_open(&proxy->name_servers, options->resolv_conf, e);
	if (rc == 0)
		rc = resolver_open(&proxy->name_servers.servers, &settings, &proxy->resolver, e);
	if (rc == 0)
		control_want_names(proxy->resolver, &proxy->source);
	return rc;
}

/* --access-log wins over the mesh settings, where both are given. */
static const char *log_path(const struct proxy *proxy)
{
	if (proxy->options.access_log != NULL)
		return proxy->options.access_log;
	return proxy->source.newest != NULL ? proxy->source.newest->mesh.access_log_file : "/dev/stdout";
}

static int open_everything(struct proxy *proxy, struct error *e)
{
	const struct options *options = &proxy->options;
	struct worker_options shared = {.port = (uint16_t)options->port, .drain_time = options->drain_time,
		.drain_to_zero = options->drain_to_zero, .sink = &proxy->sink, .metrics = &proxy->metrics};
	int rc = has_configuration(proxy) ? open_configuration(proxy, e) : 0;

	if (rc == 0)
		rc = sink_open(&proxy->sink, log_path(proxy), options->concurrency, e);
	if (rc < 0)
		return rc;
	shared.source = has_configuration(proxy) ? &proxy->source : NULL;
	shared.resolver = proxy->resolver;
	proxy->control.source = shared.source;
	proxy->control.name_servers = &proxy->name_servers;
	proxy->control.resolver = proxy->resolver;
	proxy->control.status.source = shared.source;
	proxy->control.log_follows = options->access_log == NULL;
	proxy->control.status.resolver = proxy->resolver;
	proxy->workers = calloc(options->concurrency, sizeof *proxy->workers);
	if (proxy->workers == NULL)
		return error_set(e, ENOMEM, "no memory for the workers");
	while (rc == 0 && proxy->worker_count < options->concurrency) {
		rc = worker_init(&proxy->workers[proxy->worker_count], &shared, proxy->worker_count, e);
		proxy->worker_count++;
	}
	/* Last, for who finds these ports open may take the proxy for ready. */
	if (rc == 0)
		rc = control_open(&proxy->control, options, e);
	return rc;
}

/* --- threads */

static void *run_thread(void *argument)
{
	struct thread *thread = argument;
	struct proxy *proxy = thread->proxy;

	(void)sem_post(&proxy->arrived);
	while (sem_wait(&proxy->gate) < 0)
		;
	if (!proxy->failed)
		thread->run(proxy, thread->worker);
	return NULL;
}

static void run_log(struct proxy *proxy, struct worker *worker)
{
	(void)worker;
	sink_run(&proxy->sink);
}

static void run_resolver(struct proxy *proxy, struct worker *worker)
{
	(void)worker;
	resolver_run(proxy->resolver);
}

static void run_worker(struct proxy *proxy, struct worker *worker)
{
	worker_run(worker);
	control_finish(&proxy->control);
}

/* Starts one and waits until it is at the gate: by then it has made the calls that only a beginning needs. */
static int start_thread(struct proxy *proxy, void (*run)(struct proxy *, struct worker *), struct worker *worker,
	struct error *e)
{
	struct thread *thread = &proxy->threads[proxy->thread_count];
	int code;

	thread->proxy = proxy;
	thread->run = run;
	thread->worker = worker;
	code = pthread_create(&thread->id, NULL, run_thread, thread);
	if (code != 0)
		return error_set_errno(e, code, "cannot start a thread");
	proxy->thread_count++;
	while (sem_wait(&proxy->arrived) < 0)
		;
	return 0;
}

static int start_threads(struct proxy *proxy, struct error *e)
{
	int rc = start_thread(proxy, run_log, NULL, e);

	if (rc == 0 && proxy->resolver != NULL)
		rc = start_thread(proxy, run_resolver, NULL, e);
	proxy->first_worker = proxy->thread_count;
	for (uint32_t i = 0; rc == 0 && i < proxy->worker_count; i++)
		rc = start_thread(proxy, run_worker, &proxy->workers[i], e);
	return rc;
}

static void open_gate(struct proxy *proxy, bool failed)
{
	proxy->failed = failed;
	for (uint32_t i = 0; i < proxy->thread_count; i++)
		(void)sem_post(&proxy->gate);
}

/* The workers end first, and what they still say is written by the log's thread. */
static void join_threads(struct proxy *proxy)
{
	for (uint32_t i = proxy->first_worker; i < proxy->thread_count; i++)
		(void)pthread_join(proxy->threads[i].id, NULL);
	if (proxy->resolver != NULL)
		resolver_stop(proxy->resolver);
	sink_stop(&proxy->sink);
	for (uint32_t i = 0; i < proxy->first_worker && i < proxy->thread_count; i++)
		(void)pthread_join(proxy->threads[i].id, NULL);
}

/* --- the whole life */

/* What is opened when the sandbox is closed. */
static int enter_paths(const struct proxy *proxy, struct error *e)
{
	const struct options *options = &proxy->options;
	const char **others = NULL;
	struct sandbox_files files = {.log = log_path(proxy), .log_moves = options->access_log == NULL && options->mesh_config != NULL,
		.mesh_config = options->mesh_config, .config_dir = options->config_dir};
	int rc;

	if (has_configuration(proxy)) {
		files.resolv_conf = options->resolv_conf;
		files.certificates = tls_context_system_file();
		files.other_count = configuration_files(proxy->source.newest, &others);
		files.others = others;
	}
	rc = sandbox_paths(&files, e);
	free(others);
	return rc;
}

static int start(struct proxy *proxy, struct error *e)
{
	const struct options *options = &proxy->options;
	int rc = sandbox_check(options->run_as, options->allow_root, e);

	warn_set_level(options->log_level);
	raise_descriptor_limit();
	if (rc == 0)
		rc = open_everything(proxy, e);
	if (rc == 0)
		rc = sandbox_drop(options->run_as, options->uid, options->gid, e);
	if (rc == 0)
		rc = enter_paths(proxy, e);
	if (rc == 0)
		rc = start_threads(proxy, e);
	if (rc == 0)
		rc = sandbox_calls(e);
	return rc;
}

static void release(struct proxy *proxy)
{
	control_free(&proxy->control);
	for (uint32_t i = 0; i < proxy->worker_count; i++)
		worker_free(&proxy->workers[i]);
	free(proxy->workers);
	if (proxy->resolver != NULL)
		resolver_free(proxy->resolver);
	configuration_close(&proxy->source);
	arena_free(&proxy->labels);
	sink_free(&proxy->sink);
	metrics_free(&proxy->metrics);
}

static int run(struct proxy *proxy)
{
	struct error e;
	int rc;

	(void)sem_init(&proxy->arrived, 0, 0);
	(void)sem_init(&proxy->gate, 0, 0);
	metrics_init(&proxy->metrics);
	sink_init(&proxy->sink);
	control_init(&proxy->control, &proxy->metrics, &proxy->sink);
	rc = start(proxy, &e);
	open_gate(proxy, rc < 0);
	if (rc < 0)
		(void)fprintf(stderr, "weir-proxy: %s\n", e.text);
	else
		control_run(&proxy->control, proxy->workers, proxy->worker_count);
	join_threads(proxy);
	release(proxy);
	return rc < 0 ? STATUS_FAILED : STATUS_OK;
}

int main(int argc, char *argv[])
{
	static struct proxy proxy;
	struct error e;

	if (options_read(argc, argv, &proxy.options, &e) < 0) {
		(void)fprintf(stderr, "weir-proxy: %s\n", e.text);
		return STATUS_USAGE;
	}
	if (proxy.options.help) {
		options_write_help(stdout);
		return STATUS_OK;
	}
	if (proxy.options.version) {
		(void)puts("weir-proxy " PROGRAM_VERSION);
		return STATUS_OK;
	}
	return run(&proxy);
}
