/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What DNS says of one name, as the resolver last knew it. An answer never changes: the resolver replaces it by another
 * one. Whoever holds a reference may read it from any thread, for as long as it likes.
 */
#ifndef WEIR_PROXY_ANSWER_H
#define WEIR_PROXY_ANSWER_H

#include "redirect/base/address.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Addresses of one family that an answer has at most; the rest of a longer one is left out. */
#define ANSWER_FAMILY_MAX 32

/* Addresses of earlier answers that are remembered at most. */
#define ANSWER_RECENT_MAX 64

enum answer_state {
	ANSWER_NONE,   /* nobody has answered yet */
	ANSWER_GOOD,   /* as the last lookup said */
	ANSWER_STALE,  /* the last lookup failed, the addresses are those of the last good one */
	ANSWER_FAILED, /* the last lookup failed, and no address is left */
	ANSWER_STATE_COUNT,
};

enum answer_error {
	ANSWER_OK,
	ANSWER_NXDOMAIN,    /* there is no such name */
	ANSWER_NODATA,      /* the name has no address, in either family */
	ANSWER_SERVFAIL,    /* what a server says that could not find out */
	ANSWER_REFUSED,     /* by the server */
	ANSWER_TIMEOUT,     /* of every server, each asked more than once */
	ANSWER_UNREACHABLE, /* every server; older versions of c-ares (Debian 12) say so of SERVFAIL and REFUSED, too */
	ANSWER_MALFORMED,   /* what the server sent, or says of the question */
	ANSWER_PRIVATE,     /* only addresses that nobody should be sent to (proxy/dns/guard.h) */
	ANSWER_NO_MEMORY,
	ANSWER_ERROR_COUNT,
};

struct answer {
	atomic_uint references;
	enum answer_state state;
	enum answer_error error; /* of the last lookup */
	int64_t expires;         /* monotonic milliseconds: when it will be asked for anew */
	uint16_t count;          /* addresses to dial */
	uint16_t ipv4_count;     /* of them; they come first, each family in the order of its answer */
	uint16_t recent_count;   /* addresses behind those: of earlier answers, not long ago, not to be dialled */
	uint16_t seen_offset;    /* from the first address to when the recent ones were last current */
	uint16_t name_offset;    /* and to the name, behind that */
	struct address addresses[];
};

/*
 * Makes an answer with one reference and a name of its own, with room for addresses but without any. Returns NULL
 * without memory.
 */
struct answer *answer_new(const char *name, size_t current_max, size_t recent_max);

/* One more holder. Returns `answer`, which may be NULL. */
const struct answer *answer_ref(const struct answer *answer);

/* One holder less; the last one frees. `answer` may be NULL. */
void answer_unref(const struct answer *answer);

/* The name, in lower case, without a dot at its end. */
const char *answer_name(const struct answer *answer);

/* When a recent address was last a current one, in seconds. */
uint32_t answer_seen(const struct answer *answer, size_t recent);
void answer_set_seen(struct answer *answer, size_t recent, uint32_t seconds);

/*
 * Whether the name resolves to the address: by this answer, or by one that was current within five minutes before it,
 * since who has dialled the address may have been told so then.
 */
bool answer_has(const struct answer *answer, const struct address *address);

/* "NXDOMAIN", "timeout" ..., for a log. */
const char *answer_error_text(enum answer_error error);

#endif
