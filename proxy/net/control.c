/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/net/control.h"

#include "proxy/log/warn.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

/* What is polled for beside the status ports. */
enum { POLL_SIGNALS, POLL_FINISHED, POLL_STATUS };

void control_init(struct control *control, struct metrics *metrics, struct sink *sink)
{
	*control = (struct control){.signals = -1, .finished = -1, .sink = sink};
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

void control_run(struct control *control, const struct worker *workers, uint32_t worker_count)
{
	uint64_t finished = 0;

	while (finished < worker_count) {
		struct pollfd polled[POLL_STATUS + STATUS_POLL_MAX] = {
			[POLL_SIGNALS] = {.fd = control->signals, .events = POLLIN},
			[POLL_FINISHED] = {.fd = control->finished, .events = POLLIN},
		};
		size_t count = status_watch(&control->status, polled + POLL_STATUS);
		bool ending = false;
		uint64_t more;

		if (poll(polled, POLL_STATUS + count, status_timeout(&control->status)) < 0)
			continue;
		if (polled[POLL_SIGNALS].revents != 0)
			ending = take_signal(control);
		if (polled[POLL_FINISHED].revents != 0 && read(control->finished, &more, sizeof more) == sizeof more)
			finished += more;
		status_serve(&control->status, polled + POLL_STATUS, count, now());
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
