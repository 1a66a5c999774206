/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Start-up, in the order that matters: arguments; refuse to be root; open log and sockets; give up privileges; start
 * the workers. Then the first thread waits for signals: SIGHUP opens the log anew, SIGTERM and SIGINT drain.
 */
#include "proxy/log/sink.h"
#include "proxy/net/options.h"
#include "proxy/net/privilege.h"
#include "proxy/net/worker.h"
#include "redirect/base/error.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define PROGRAM_VERSION "0.1.0"

enum status { STATUS_OK = 0, STATUS_FAILED = 1, STATUS_USAGE = 2 };

struct proxy {
	struct options options;
	struct worker *workers; /* owned */
	uint32_t worker_count;  /* that were initialised */
	uint32_t thread_count;  /* that run */
	int log_fd;
};

static void *run_worker(void *worker)
{
	worker_run(worker);
	return NULL;
}

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
	int rc = sink_open(options->access_log, &proxy->log_fd, e);

	if (rc < 0)
		return rc;
	proxy->workers = calloc(options->concurrency, sizeof *proxy->workers);
	if (proxy->workers == NULL)
		return error_set(e, ENOMEM, "no memory for the workers");
	while (rc == 0 && proxy->worker_count < options->concurrency) {
		uint16_t ready_port = proxy->worker_count == 0 ? (uint16_t)options->ready_port : 0;

		rc = worker_init(&proxy->workers[proxy->worker_count], (uint16_t)options->port, ready_port,
			proxy->log_fd, options->drain_time, e);
		proxy->worker_count++;
	}
	return rc;
}

/* Signals are waited for by the first thread alone; the workers inherit the mask. */
static void block_signals(sigset_t *ret_awaited)
{
	(void)sigemptyset(ret_awaited);
	(void)sigaddset(ret_awaited, SIGTERM);
	(void)sigaddset(ret_awaited, SIGINT);
	(void)sigaddset(ret_awaited, SIGHUP);
	(void)pthread_sigmask(SIG_BLOCK, ret_awaited, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
}

static int start_workers(struct proxy *proxy, struct error *e)
{
	for (uint32_t i = 0; i < proxy->worker_count; i++) {
		int code = pthread_create(&proxy->workers[i].thread, NULL, run_worker, &proxy->workers[i]);

		if (code != 0)
			return error_set_errno(e, code, "cannot start a worker");
		proxy->thread_count++;
	}
	return 0;
}

static void wait_for_the_end(const struct proxy *proxy, const sigset_t *awaited)
{
	struct error e;
	int number;

	while (sigwait(awaited, &number) != 0 || number == SIGHUP)
		if (sink_reopen(proxy->options.access_log, proxy->log_fd, &e) < 0)
			(void)fprintf(stderr, "weir-proxy: %s\n", e.text);
}

static void stop(struct proxy *proxy)
{
	for (uint32_t i = 0; i < proxy->thread_count; i++)
		worker_drain(&proxy->workers[i]);
	for (uint32_t i = 0; i < proxy->thread_count; i++)
		(void)pthread_join(proxy->workers[i].thread, NULL);
	for (uint32_t i = 0; i < proxy->worker_count; i++)
		worker_free(&proxy->workers[i]);
	free(proxy->workers);
	if (proxy->log_fd >= 0)
		(void)close(proxy->log_fd);
}

static int run(struct proxy *proxy)
{
	const struct options *options = &proxy->options;
	struct error e;
	sigset_t awaited;
	int rc = privilege_check(options->run_as, options->allow_root, &e);

	raise_descriptor_limit();
	block_signals(&awaited);
	if (rc == 0)
		rc = open_everything(proxy, &e);
	if (rc == 0)
		rc = privilege_drop(options->run_as, options->uid, options->gid, &e);
	if (rc == 0)
		rc = start_workers(proxy, &e);
	if (rc == 0)
		wait_for_the_end(proxy, &awaited);
	else
		(void)fprintf(stderr, "weir-proxy: %s\n", e.text);
	stop(proxy);
	return rc == 0 ? STATUS_OK : STATUS_FAILED;
}

int main(int argc, char *argv[])
{
	struct proxy proxy = {.log_fd = -1};
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
