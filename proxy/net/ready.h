/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The readiness endpoint: GET /healthz/ready on a port of its own. A few places of fixed size, and a client that asks
 * when all are taken, or is slow, is closed.
 */
#ifndef WEIR_PROXY_READY_H
#define WEIR_PROXY_READY_H

#include <stddef.h>
#include <stdint.h>

#define READY_CLIENT_MAX 16
#define READY_REQUEST_SIZE 1024

struct ready_client {
	int fd; /* -1: free */
	int64_t since;
	size_t used;
	char request[READY_REQUEST_SIZE];
};

struct ready {
	struct ready_client clients[READY_CLIENT_MAX];
};

/* Starts without clients. */
void ready_init(struct ready *ready);

/* Takes an accepted socket. Returns its place, to be watched for reading; or -1, and the socket is closed. */
int ready_accept(struct ready *ready, int fd, int64_t now);

/* Reads a client's request and answers it when it is whole. The socket is closed when nothing is left to do. */
void ready_event(struct ready *ready, size_t index);

/* Closes clients that have been here too long, or all of them with `now` INT64_MAX. */
void ready_check_time(struct ready *ready, int64_t now);

#endif
