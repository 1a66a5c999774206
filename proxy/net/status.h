/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the proxy tells about itself, and takes from its operator, over HTTP:
 *
 *     port 15021   GET /healthz/ready       200, or 503 while draining
 *     port 15090   GET /stats/prometheus    metrics
 *     the admin socket, which no network reaches:
 *                  POST /quitquitquit       drain and exit (POST /drain is the same)
 *                  GET /config_dump         what is in force, as JSON
 *                  GET /clusters            each cluster's addresses, and its limits
 *                  POST /logging?level=L    off, warning or info
 *                  and both of the above
 *
 * One thread serves all of it, apart from the workers: a scrape takes nothing from the relay.
 */
#ifndef WEIR_PROXY_STATUS_H
#define WEIR_PROXY_STATUS_H

#include "proxy/dns/resolver.h"
#include "proxy/log/metrics.h"
#include "proxy/log/sink.h"
#include "proxy/net/configuration.h"
#include "proxy/net/listener.h"
#include "redirect/base/error.h"

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STATUS_CLIENT_MAX 16
#define STATUS_REQUEST_SIZE 4096

enum status_door { STATUS_READY, STATUS_METRICS, STATUS_ADMIN, STATUS_DOOR_COUNT };

/* Descriptors that a status has at most. */
#define STATUS_POLL_MAX (STATUS_DOOR_COUNT * LISTENER_COUNT + STATUS_CLIENT_MAX)

struct status_client {
	int fd; /* -1: free */
	enum status_door door;
	int64_t since; /* monotonic milliseconds */
	size_t used;   /* bytes of the request */
	char request[STATUS_REQUEST_SIZE];
	char *answer; /* owned; NULL until the request is whole */
	size_t answer_size;
	size_t sent;
};

struct status {
	int listeners[STATUS_DOOR_COUNT][LISTENER_COUNT]; /* -1: none */
	int spare; /* given up for a client when descriptors are out, so that a probe is answered even then */
	bool paused;
	bool draining;
	bool drain_asked;        /* by POST /quitquitquit */
	struct metrics *metrics; /* borrowed */
	struct sink *sink;       /* borrowed */
	struct configuration_source *source; /* borrowed; NULL: there is none */
	struct resolver *resolver;           /* the same */
	struct status_client clients[STATUS_CLIENT_MAX];
};

/* Starts with nothing open. */
void status_init(struct status *status, struct metrics *metrics, struct sink *sink);

/*
 * Opens the ports, and the admin socket unless its path is "": owner and group may use it, and one that is left over
 * from an earlier proxy is replaced. Returns 0 or -errno; status_free() is due in either case.
 */
int status_open(struct status *status, uint16_t ready_port, uint16_t metrics_port, const char *admin_path,
	struct error *e);

/* Writes what is to be polled for to `out`. Returns how many there are, at most STATUS_POLL_MAX. */
size_t status_watch(const struct status *status, struct pollfd *out);

/* Milliseconds after which status_serve() is due without an event; -1: never. */
int status_timeout(const struct status *status);

/* Serves what poll(2) has found, and closes clients that have been here too long, by `now`. */
void status_serve(struct status *status, const struct pollfd *polled, size_t count, int64_t now);

/* Closes everything. */
void status_free(struct status *status);

#endif
