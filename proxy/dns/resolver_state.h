/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the resolver's own files share: resolver.c and resolver_*.c. Nobody else includes it, but their tests.
 *
 * The resolver's thread alone changes names and answers; it holds the lock while it does, and others while they look.
 * What others ask of the thread lies under the same lock, until it is woken. Functions whose name ends in _locked are
 * called with it held.
 */
#ifndef WEIR_PROXY_RESOLVER_STATE_H
#define WEIR_PROXY_RESOLVER_STATE_H

#include "proxy/dns/agenda.h"
#include "proxy/dns/index.h"
#include "proxy/dns/query.h"
#include "proxy/dns/record.h"
#include "proxy/dns/resolver.h"
#include "proxy/dns/wanted.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

/* A change of policy may leave names behind for a moment, beside the new ones. */
#define RESOLVER_ENTRY_MAX (2 * RESOLVER_WANTED_MAX + RESOLVER_DEMAND_MAX)

/* One name. */
struct resolver_entry {
	struct index_name name; /* first, so that what the index finds is the entry */
	struct agenda_item agenda; /* when to look it up; during a lookup, when to make do with one family */
	TAILQ_ENTRY(resolver_entry) all;
	TAILQ_ENTRY(resolver_entry) due;
	struct resolver_entries *list; /* where it is due; NULL: it is not */
	struct resolver_lane *lane;    /* that its lookup in flight belongs to */
	bool wanted;                /* by the policy */
	uint32_t generation; /* of the policy that wanted it last */
	struct record record;
	struct resolver *resolver;
	struct question *questions; /* owned: of the lookup in flight, one a family; NULL: none */
	bool arrived[FAMILY_COUNT]; /* whose question is over */
	size_t waiting;             /* waits for it */
	int64_t used;               /* when it was last asked for by resolver_lookup(); 0: never */
};
TAILQ_HEAD(resolver_entries, resolver_entry);

/* Lookups of one kind, and how many of them may be in flight: who floods one lane holds up nobody in the other. */
enum resolver_lane_kind { LANE_POLICY, LANE_DEMAND, LANE_COUNT };
struct resolver_lane {
	struct resolver_entries waited; /* due, and somebody waits for them: these first */
	struct resolver_entries due;
	size_t in_flight;
};

struct resolver {
	/* the thread's own */
	int epoll;
	struct query *query;     /* owned: who is asked */
	struct query *old_query; /* owned: who was asked before, while questions to them are in flight; or NULL */
	bool has_new_servers;    /* who has failed is asked for anew */
	struct agenda agenda;
	struct resolver_entries entries;
	struct resolver_lane lanes[LANE_COUNT]; /* for names that the policy wants, and for others */
	size_t entry_count;
	size_t wanted_count;
	uint32_t generation;
	uint64_t draws; /* of random numbers */
	bool closing;
	bool guarded; /* what all answers so far were made with */
	struct resolver_settings settings;
	struct wanted *wanted; /* owned: what is not yet all in `entries`; or NULL */

	int wake; /* an eventfd: something below has changed */
	pthread_mutex_t lock;
	struct index index;
	struct resolver_waits asked;   /* new ones */
	struct resolver_waits waiting; /* by their deadlines, but for the moment that a new one took to get here */
	struct resolver_settings next_settings;
	struct wanted *next_wanted; /* owned; NULL: no change */
	struct query *next_query;   /* the same */
	bool stopping;
};

int64_t resolver_now(void);

/* Wakes the thread. */
void resolver_wake(const struct resolver *resolver);

/* --- resolver_entry.c: the thread's work on names */

/* Makes a name that is to be looked up at once. Returns NULL without memory. */
struct resolver_entry *entry_new_locked(struct resolver *resolver, const char *name, bool wanted);

/* Makes it one of those that are to be looked up as soon as possible, in the lane and the place that it has now. */
void entry_make_due(struct resolver *resolver, struct resolver_entry *entry);

/* Forgets a name that nobody needs any more, unless its lookup is in flight. */
bool entry_drop(struct resolver *resolver, struct resolver_entry *entry, int64_t now);

/* Does what the agenda has for now. */
void entry_run_agenda(struct resolver *resolver, int64_t now);

/* Starts lookups of those that are due, as many as may be in flight. */
void entry_start_due(struct resolver *resolver, int64_t now);

/* --- resolver_servers.c: the thread's questions, to the servers and to those before them */

/* Takes up other servers, once the last change of them is over. */
void queries_take_locked(struct resolver *resolver);

/* Serves a socket of whichever they are. */
void queries_serve(struct resolver *resolver, int fd, uint32_t events);

/* Does what time has made due; servers before that nobody waits for any more are forgotten. */
void queries_tick(struct resolver *resolver);

/* Milliseconds until queries_tick() is due; -1: never. */
int queries_timeout(const struct resolver *resolver);

/* --- resolver_names.c: the thread's work on the policy's names */

/* Makes and drops names until they are those of resolver->wanted, which is then gone. */
void names_apply_wanted(struct resolver *resolver, int64_t now);

/* Names whose last lookup failed are looked up anew by new servers. */
void names_apply_servers(struct resolver *resolver);

/*
 * When the guard has changed, what was good without it, or refused by it, is looked up again, and not kept if that
 * fails.
 */
void names_apply_guard(struct resolver *resolver);

/* --- resolver_wait.c: the thread's work on waits */

/* Finds or makes the names that new waits are for. */
void wait_take_locked(struct resolver *resolver);

/* Ends the waits for a name that has an answer now. */
void wait_answer_locked(struct resolver *resolver, struct resolver_entry *entry);

/* Ends waits whose time has come. */
void wait_expire(struct resolver *resolver, int64_t now);

/* Ends all. */
void wait_end_all(struct resolver *resolver);

#endif
