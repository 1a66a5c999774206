/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/net/control.h"

#include "proxy/log/warn.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

/* Names that are resolved though no decision needs them. */
#define AHEAD_MAX 1000u

/* Milliseconds between two looks at the configuration's files. */
#define SCAN_INTERVAL 500

/*
 * Milliseconds from a new configuration until the memory that making it took, and the one before it, go back to the
 * kernel: by then the workers use it no more.
 */
#define TRIM_AFTER 1000

/* What is polled for beside the status ports. */
enum { POLL_SIGNALS, POLL_FINISHED, POLL_STATUS };

void control_init(struct control *control, struct metrics *metrics, struct sink *sink)
{
	*control = (struct control){.signals = -1, .finished = -1, .sink = sink, .trims_at = INT64_MAX};
	status_init(&control->status, metrics, sink);
}

int control_open(struct control *control, const struct options *options, struct error *e)
{
	sigset_t awaited;

	(void)sigemptyset(&awaited);
	(void)sigaddset(&awaited, SIGTERM);
	(void)sigaddset(&awaited, SIGINT);
	(void)sigaddset(&awaited, SIGHUP);
	(void)pthread_sigmask(SIG_BLOCK, &awaited, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	control->signals = signalfd(-1, &awaited, SFD_CLOEXEC | SFD_NONBLOCK);
	control->finished = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (control->signals < 0 || control->finished < 0)
		return error_set_errno(e, errno, "cannot wait for signals");
	return status_open(&control->status, (uint16_t)options->ready_port, (uint16_t)options->metrics_port,
		options->admin_socket, e);
}

static int64_t now(void)
{
	struct timespec time;

	(void)clock_gettime(CLOCK_MONOTONIC, &time);
	return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* Acts on a signal; returns whether it asks for the end. */
static bool take_signal(const struct control *control)
{
	struct signalfd_siginfo signal;
	struct error e;

	if (read(control->signals, &signal, sizeof signal) != sizeof signal)
		return false;
	if (signal.ssi_signo != SIGHUP)
		return true;
	if (sink_reopen(control->sink, NULL, &e) < 0)
		warn("%s", e.text);
	return false;
}

/*
 * The names of a policy: those that a decision needs, and of the others as many as are worth asking for before anybody
 * wants them. The rest is asked for on demand. Returns how many; the caller frees the array, or NULL without memory.
 */
static const char **collect_names(const struct policy *policy, size_t *ret_count)
{
	const char **names = calloc(policy->resolve_count + AHEAD_MAX + 1, sizeof *names);
	size_t count = policy->resolve_count;

	if (names == NULL)
		return NULL;
	if (count > 0)
		memcpy(names, policy->resolve, count * sizeof *names);
	for (size_t i = 0; i < policy->cluster_count; i++) {
		const struct policy_cluster *cluster = policy->clusters[i];

		for (uint32_t j = 0; j < cluster->endpoint_count && count < policy->resolve_count + AHEAD_MAX; j++)
			if (cluster->endpoints[j].name != NULL)
				names[count++] = cluster->endpoints[j].name;
	}
	*ret_count = count;
	return names;
}

void control_want_names(struct resolver *resolver, struct configuration_source *source)
{
	struct configuration *newest = configuration_newest(source);
	const struct resolver_settings settings = {.refresh_rate = newest->mesh.dns_refresh_rate / 1000000,
		.refuse_private = newest->mesh.refuse_private_answers};
	size_t count = 0;
	const char **names = collect_names(newest->policy, &count);
	struct error e;

	if (names == NULL)
		warn("no memory for the names that are to be resolved");
	else if (resolver_configure(resolver, &settings, names, count, &e) != 0)
		warn("%s", e.text);
	free(names);
	configuration_unref(newest);
}

/* The log goes where the newest configuration says. */
static void move_log(struct control *control)
{
	struct configuration *newest = configuration_newest(control->source);
	struct error e;

	if (control->log_follows && sink_reopen(control->sink, newest->mesh.access_log_file, &e) < 0)
		warn("%s", e.text);
	configuration_unref(newest);
}

/* Looks whether the files have changed; a new configuration goes to the workers. */
static void scan(struct control *control, const struct worker *workers, uint32_t worker_count)
{
	struct error e;
	int rc = configuration_scan(control->source, &e);

	if (rc < 0 && !control->scan_failed)
		warn("%s; the configuration stays as it was", e.text);
	control->scan_failed = rc < 0;
	if (rc <= 0)
		return;
	inform("configuration %llu is in force", (unsigned long long)configuration_number(control->source));
	control_want_names(control->resolver, control->source);
	move_log(control);
	for (uint32_t i = 0; i < worker_count; i++)
		worker_reconfigure(&workers[i]);
	control->trims_at = now() + TRIM_AFTER;
}

/* A snapshot is freed from between others' memory, which malloc would keep for the next one. */
static void trim(struct control *control)
{
	if (now() < control->trims_at)
		return;
	control->trims_at = INT64_MAX;
	(void)malloc_trim(0);
}

static int timeout_of(const struct control *control)
{
	int timeout = status_timeout(&control->status);

	return control->source != NULL && (timeout < 0 || timeout > SCAN_INTERVAL) ? SCAN_INTERVAL : timeout;
}

void control_run(struct control *control, struct worker *workers, uint32_t worker_count)
{
	uint64_t finished = 0;

	control->trims_at = now() + TRIM_AFTER;
	while (finished < worker_count) {
		struct pollfd polled[POLL_STATUS + STATUS_POLL_MAX] = {
			[POLL_SIGNALS] = {.fd = control->signals, .events = POLLIN},
			[POLL_FINISHED] = {.fd = control->finished, .events = POLLIN},
		};
		size_t count = status_watch(&control->status, polled + POLL_STATUS);
		bool ending = false;
		uint64_t more;

		if (poll(polled, POLL_STATUS + count, timeout_of(control)) < 0)
			continue;
		if (polled[POLL_SIGNALS].revents != 0)
			ending = take_signal(control);
		if (polled[POLL_FINISHED].revents != 0 && read(control->finished, &more, sizeof more) == sizeof more)
			finished += more;
		status_serve(&control->status, polled + POLL_STATUS, count, now());
		if (control->source != NULL && now() - control->scanned >= SCAN_INTERVAL) {
			scan(control, workers, worker_count);
			name_servers_scan(control->name_servers, control->resolver);
			control->scanned = now();
			trim(control);
		}
		if (control->status.draining || !(ending || control->status.drain_asked))
			continue;
		control->status.draining = true;
		for (uint32_t i = 0; i < worker_count; i++)
			worker_drain(&workers[i]);
	}
}

void control_finish(const struct control *control)
{
	const uint64_t one = 1;

	(void)!write(control->finished, &one, sizeof one);
}

void control_free(struct control *control)
{
	status_free(&control->status);
	if (control->signals >= 0)
		(void)close(control->signals);
	if (control->finished >= 0)
		(void)close(control->finished);
}
