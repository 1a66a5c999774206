/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first thread of a running proxy: signals, the status ports, and the drain.
 */
#ifndef WEIR_PROXY_CONTROL_H
#define WEIR_PROXY_CONTROL_H

#include "proxy/log/sink.h"
#include "proxy/net/options.h"
#include "proxy/net/status.h"
#include "proxy/net/worker.h"
#include "redirect/base/error.h"

struct control {
	int signals;  /* a signalfd */
	int finished; /* an eventfd: each worker that has drained adds one */
	struct status status;
	struct sink *sink; /* borrowed */
};

/* Starts with nothing open. */
void control_init(struct control *control, struct metrics *metrics, struct sink *sink);

/*
 * Opens the status ports, and blocks the signals that control_run() takes, for this thread and all that it starts.
 * Returns 0 or -errno.
 */
int control_open(struct control *control, const struct options *options, struct error *e);

/*
 * SIGHUP opens the access log anew; SIGTERM, SIGINT and POST /quitquitquit begin the drain. Returns when every worker has
 * drained.
 */
void control_run(struct control *control, const struct worker *workers, uint32_t worker_count);

/* Tells control_run(), from a worker's thread, that the worker has drained. */
void control_finish(const struct control *control);

/* Closes everything. */
void control_free(struct control *control);

#endif
