/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first thread of a running proxy: signals, the status ports, and the drain.
 */
#ifndef WEIR_PROXY_CONTROL_H
#define WEIR_PROXY_CONTROL_H

#include "proxy/log/sink.h"
#include "proxy/net/name_servers.h"
#include "proxy/net/options.h"
#include "proxy/net/status.h"
#include "proxy/net/worker.h"
#include "redirect/base/error.h"

struct control {
	int signals;  /* a signalfd */
	int finished; /* an eventfd: each worker that has drained adds one */
	struct status status;
	struct sink *sink; /* borrowed */
	struct configuration_source *source; /* borrowed; NULL: there is none */
	struct name_servers *name_servers;   /* borrowed; with a resolver */
	struct resolver *resolver;           /* borrowed; NULL: there is none */
	int64_t scanned; /* monotonic milliseconds */
	int64_t trims_at; /* the same: when memory goes back to the kernel; INT64_MAX: not yet */
	bool scan_failed; /* which was said */
	bool log_follows; /* accessLogFile says where the log is, not --access-log */
};

/* Starts with nothing open. */
void control_init(struct control *control, struct metrics *metrics, struct sink *sink);

/*
 * Opens the status ports, and blocks the signals that control_run() takes, for this thread and all that it starts.
 * Returns 0 or -errno.
 */
int control_open(struct control *control, const struct options *options, struct error *e);

/*
 * SIGHUP opens the access log anew; the configuration's files and resolv.conf are looked at twice a second; SIGTERM, SIGINT
 * and POST /quitquitquit begin the drain. Returns when every worker has drained.
 */
void control_run(struct control *control, struct worker *workers, uint32_t worker_count);

/* Tells the resolver which names the newest configuration wants. */
void control_want_names(struct resolver *resolver, struct configuration_source *source);

/* Tells control_run(), from a worker's thread, that the worker has drained. */
void control_finish(const struct control *control);

/* Closes everything. */
void control_free(struct control *control);

#endif
