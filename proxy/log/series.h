/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The counters of each set of labels. Series are never removed, so a slot that is taken stays as it is: looking one up
 * needs no lock, and a connection may keep a pointer to its counters.
 */
#ifndef WEIR_PROXY_SERIES_H
#define WEIR_PROXY_SERIES_H

#include "proxy/log/facts.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Series that are kept apart, of connections and of requests together. */
#define SERIES_MAX 500u

/* Slots of the table: a power of two, with room to spare. */
#define SERIES_SLOT_COUNT 1024u

/* Bytes of a host name with its NUL. Longer ones are none, and count among the others. */
#define SERIES_HOST_SIZE 256

/* Bytes of flags as text, with their NUL. */
#define SERIES_FLAGS_SIZE 24

/* Buckets of a histogram, without the one for all (Envoy's, in milliseconds or bytes). */
#define SERIES_BUCKET_COUNT 19

/* What became of a name: destination_service_name. */
enum series_service { SERIES_UNKNOWN, SERIES_PASSTHROUGH, SERIES_BLACKHOLE, SERIES_HOST, SERIES_SERVICE_COUNT };

/* request_protocol */
enum series_protocol { SERIES_TCP, SERIES_HTTP, SERIES_GRPC, SERIES_PROTOCOL_COUNT };

/* Whatever tells one series from another. Of TCP, the flags are counted apart within one, and there is no code. */
struct series_key {
	const char *host; /* destination_service: small letters, no port */
	enum series_service service;
	enum series_protocol protocol;
	uint16_t code;
	char flags[SERIES_FLAGS_SIZE];
};

struct series_histogram {
	_Atomic uint64_t buckets[SERIES_BUCKET_COUNT + 1]; /* each counts for itself; the last: what is beyond all */
	_Atomic uint64_t sum;
};

struct series_connections {
	_Atomic uint64_t opened;
	_Atomic uint64_t closed[FACTS_END_COUNT]; /* ends with the same flags count as the first of them */
	_Atomic uint64_t received;
	_Atomic uint64_t sent;
};

/* The requests themselves are what is in a histogram. */
struct series_requests {
	struct series_histogram duration; /* milliseconds */
	struct series_histogram received; /* bytes of the request's body, and of the response's */
	struct series_histogram sent;
};

struct series {
	struct series_key key;
	bool is_rest; /* of what had no place: its code stands for a hundred of them */
	union {
		struct series_connections connections; /* TCP */
		struct series_requests requests;       /* HTTP, gRPC */
	};
};

/* Requests that nobody answered, and 1xx to 5xx; all that is beyond counts with the last. */
#define SERIES_CLASS_COUNT 6

struct series_table {
	pthread_mutex_t lock; /* of series being added */
	struct series *_Atomic slots[SERIES_SLOT_COUNT]; /* owned */
	uint32_t count;
	struct series rest; /* connections */
	struct series rests[SERIES_CLASS_COUNT]; /* requests */
};

/* Starts with none. */
void series_init(struct series_table *table);

/* The key's series, which may be made for it; where there is no place, or no memory, the one of all others. */
struct series *series_find(struct series_table *table, const struct series_key *key);

/* Counts a value in the first bucket that holds it. */
void series_observe(struct series_histogram *histogram, uint64_t value);

/* The buckets' upper bounds, in tenths. */
extern const uint64_t series_bounds[SERIES_BUCKET_COUNT];

/* Frees them. */
void series_free(struct series_table *table);

#endif
