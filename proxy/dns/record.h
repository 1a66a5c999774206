/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What follows from a lookup: the next answer, and when to look again. Pure; the time is an argument.
 */
#ifndef WEIR_PROXY_RECORD_H
#define WEIR_PROXY_RECORD_H

#include "proxy/dns/answer.h"

#include <stdbool.h>
#include <stdint.h>

/* Milliseconds for which the last good addresses are kept through failures, and earlier addresses remembered. */
#define RECORD_KEEP_TIME 300000

/* A lookup that failed is repeated after this time, then after twice as long, and so on up to the most. */
#define RECORD_RETRY_MIN 1000
#define RECORD_RETRY_MAX 30000

/* Whatever its TTL, an answer is asked for anew after one second at the earliest, and one hour at the latest. */
#define RECORD_REFRESH_MIN 1000
#define RECORD_REFRESH_MAX 3600000

enum family { FAMILY_IPV4, FAMILY_IPV6, FAMILY_COUNT };

/* What one family's query brought. */
struct reply {
	enum answer_error error; /* ANSWER_OK: there are addresses */
	uint32_t ttl;            /* seconds: the least of all records on the way */
	uint16_t count;
	struct address addresses[ANSWER_FAMILY_MAX];
};

/* What is remembered of a name's lookups, beside its answer. */
struct record {
	int64_t good[FAMILY_COUNT]; /* when the family's addresses were last confirmed; 0: it has none */
	uint32_t failures;          /* lookups in a row */
};

/* Takes out of a reply what nobody should be sent to; with `refuse_private`, private addresses of public names. */
void reply_filter(struct reply *reply, const char *name, bool refuse_private);

/*
 * Makes the answer that comes after `before`. A reply that is NULL is not there yet; in its family nothing changes.
 * Returns NULL without memory.
 */
struct answer *record_answer(struct record *record, const struct answer *before,
	const struct reply *const replies[FAMILY_COUNT], int64_t now);

/*
 * Milliseconds until the name is to be looked up again, after a lookup that is over. `random` spreads names that were
 * asked for at one time.
 */
int64_t record_pause(struct record *record, const struct reply *const replies[FAMILY_COUNT], int64_t refresh_rate,
	uint32_t random);

#endif
