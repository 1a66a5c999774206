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
	struct worker *worker; /* NULL: the log's */
	pthread_t id;
};

struct proxy {
	struct options options;
	struct metrics metrics;
	struct sink sink;
	struct control control;
	struct worker *workers; /* owned */
	uint32_t worker_count;  /* that were initialised */
	struct thread threads[1 + OPTIONS_CONCURRENCY_MAX]; /* the log's first */
	uint32_t thread_count;
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

static int open_everything(struct proxy *proxy, struct error *e)
{
	const struct options *options = &proxy->options;
	const struct worker_options shared = {.port = (uint16_t)options->port, .drain_time = options->drain_time,
		.drain_to_zero = options->drain_to_zero, .sink = &proxy->sink, .metrics = &proxy->metrics};
	int rc = sink_open(&proxy->sink, options->access_log, options->concurrency, e);

	if (rc < 0)
		return rc;
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
	if (proxy->failed)
		return NULL;
	if (thread->worker == NULL) {
		sink_run(&proxy->sink);
		return NULL;
	}
	worker_run(thread->worker);
	control_finish(&proxy->control);
	return NULL;
}

/* Starts one and waits until it is at the gate: by then it has made the calls that only a beginning needs. */
static int start_thread(struct proxy *proxy, struct worker *worker, struct error *e)
{
	struct thread *thread = &proxy->threads[proxy->thread_count];
	int code;

	thread->proxy = proxy;
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
	int rc = start_thread(proxy, NULL, e);

	for (uint32_t i = 0; rc == 0 && i < proxy->worker_count; i++)
		rc = start_thread(proxy, &proxy->workers[i], e);
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
	for (uint32_t i = 1; i < proxy->thread_count; i++)
		(void)pthread_join(proxy->threads[i].id, NULL);
	sink_stop(&proxy->sink);
	if (proxy->thread_count > 0)
		(void)pthread_join(proxy->threads[0].id, NULL);
}

/* --- the whole life */

static int start(struct proxy *proxy, struct error *e)
{
	const struct options *options = &proxy->options;
	int rc = sandbox_check(options->run_as, options->allow_root, e);

	raise_descriptor_limit();
	if (rc == 0)
		rc = open_everything(proxy, e);
	if (rc == 0)
		rc = sandbox_drop(options->run_as, options->uid, options->gid, e);
	if (rc == 0)
		rc = sandbox_paths(options->access_log, e);
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
