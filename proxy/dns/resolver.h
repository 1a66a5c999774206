/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The resolver: a thread that keeps the answers of all names that the policy wants, and of those that were asked for
 * not long ago.
 *
 * - Names are absolute. There is no search list and no hosts file: the policy's names are DNS names, and what a file in
 *   the pod says must not redirect them.
 * - Both families are asked for, with one lookup in flight a name. An answer's TTL says when it is asked for anew.
 * - A lookup that fails (NXDOMAIN too) leaves the last good addresses in place for a bounded time, and is repeated
 *   after a pause that doubles.
 * - The servers may change at any time. Questions in flight to the old ones come to their end, what is known stays, and
 *   names that have failed are asked for at once.
 *
 * Other threads read answers at any time, for the price of a short lock, and may wait for a name's first answer. All
 * times are monotonic milliseconds.
 */
#ifndef WEIR_PROXY_RESOLVER_H
#define WEIR_PROXY_RESOLVER_H

#include "proxy/dns/answer.h"
#include "proxy/dns/servers.h"
#include "redirect/base/address.h"
#include "redirect/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

/* Names that the policy may want. */
#define RESOLVER_WANTED_MAX 32768

/* Names beyond those, that were asked for by resolver_lookup() within RESOLVER_IDLE_TIME. */
#define RESOLVER_DEMAND_MAX 4096

/* After this time without a question, a name that the policy does not want is forgotten. */
#define RESOLVER_IDLE_TIME 60000

/* A wait takes this long at most. */
#define RESOLVER_WAIT_TIME 5000

struct resolver_settings {
	int64_t refresh_rate; /* dnsRefreshRate: when an answer that must not be kept (TTL 0) is asked for anew */
	bool refuse_private; /* the guard against private answers for public names (proxy/dns/guard.h) */
};

/* The default of dnsRefreshRate. */
#define RESOLVER_REFRESH_RATE 60000

struct resolver;

/* Makes a resolver without names. Returns 0 or -errno. */
int resolver_open(const struct servers *servers, const struct resolver_settings *settings, struct resolver **ret_resolver,
	struct error *e);

/* Resolves until resolver_stop(): the life of a thread. Opens no file. */
void resolver_run(struct resolver *resolver);

/* Lets resolver_run() return, from any thread. */
void resolver_stop(struct resolver *resolver);

/* Frees it, once resolver_run() has returned or was never called. Waits that are left over end without an answer. */
void resolver_free(struct resolver *resolver);

/*
 * Gives the resolver, from any thread, its settings and the names that the policy wants; all others are dropped. A name
 * may have upper case letters and a dot at its end, and may be there twice. One that cannot be a name in DNS (an
 * address cannot) is left out. Returns 0; 1 where there are more than RESOLVER_WANTED_MAX, of which the first are taken, as
 * `e` says; or -ENOMEM, and nothing changes. Waits for nobody's answer.
 */
int resolver_configure(struct resolver *resolver, const struct resolver_settings *settings, const char *const *names,
	size_t count, struct error *e);

/* Gives the resolver, from any thread, other servers. Returns 0 or -errno, then it keeps those that it has. */
int resolver_set_servers(struct resolver *resolver, const struct servers *servers, struct error *e);

/*
 * What is known of a name, in lower case and without a dot at its end; NULL: it is not among the resolver's names. The
 * caller owns the reference.
 */
const struct answer *resolver_find(struct resolver *resolver, const char *name);

/*
 * The names that resolve to an address, as answer_has() means it: at most `max`, in no order. Returns how many. The
 * caller owns the references.
 */
size_t resolver_find_names(struct resolver *resolver, const struct address *address, const struct answer **out,
	size_t max);

/* --- waiting for a name */

/* Somebody with an event loop of its own. */
TAILQ_HEAD(resolver_waits, resolver_wait);
struct resolver_client {
	int wake; /* an eventfd to watch; when it is readable, resolver_client_next() has something */
	struct resolver_waits done;
};

/* One question of a client; part of the caller's own object. All of it is the resolver's until the wait is over. */
struct resolver_wait {
	TAILQ_ENTRY(resolver_wait) links;
	struct resolver_waits *list; /* that it is in; NULL: none */
	struct resolver_client *client;
	const char *name;             /* borrowed until the wait is over */
	struct resolver_entry *entry; /* of the name, once it has one */
	int64_t deadline;
	const struct answer *answer; /* the result: owned by the caller afterwards; NULL: no room, no memory, or no answer */
};

/* Returns 0 or -errno. */
int resolver_client_init(struct resolver_client *client, struct error *e);

/* Closes it. It must have no waits. */
void resolver_client_free(struct resolver_client *client);

/*
 * Asks for a name (as resolver_find() wants it). Where there is an answer already, be it that the name cannot be
 * resolved at present, returns 0, and wait->answer is set. Else returns 1, and the wait comes back from
 * resolver_client_next() by RESOLVER_WAIT_TIME at the latest, unless it is cancelled. What cannot be a name in DNS (an
 * address, too) is -EINVAL.
 */
int resolver_lookup(struct resolver *resolver, struct resolver_client *client, struct resolver_wait *wait,
	const char *name);

/* Ends a wait, in whatever state it is. Afterwards nobody knows of it. */
void resolver_cancel(struct resolver *resolver, struct resolver_wait *wait);

/* One of the client's waits that are over, its answer in it; NULL: no more. Clears `wake`. */
struct resolver_wait *resolver_client_next(struct resolver *resolver, struct resolver_client *client);

#endif
