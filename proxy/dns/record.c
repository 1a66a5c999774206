/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A lookup is good when one family has addresses. Then the other family's "no such data" is the truth, and empties it;
 * but when neither has any, what was good stays, whatever the servers say: an NXDOMAIN may be a mistake that somebody
 * is already mending. Only time ends that: RECORD_KEEP_TIME after a family was last confirmed.
 */
#include "proxy/dns/record.h"

#include "proxy/dns/guard.h"

#include <string.h>

#define MS 1000

/* Shares by which pauses are spread: a refresh comes later, a retry earlier. */
#define REFRESH_SPREAD 16
#define RETRY_SPREAD 4

/* --- one reply */

void reply_filter(struct reply *reply, const char *name, bool refuse_private)
{
	bool guarded = refuse_private && guard_is_public(name);
	uint16_t kept = 0;

	for (uint16_t i = 0; i < reply->count; i++) {
		const struct address *address = &reply->addresses[i];

		if (!guard_is_unusable(address) && !(guarded && guard_is_private(address)))
			reply->addresses[kept++] = *address;
	}
	if (kept == 0 && reply->count > 0)
		reply->error = ANSWER_PRIVATE;
	reply->count = kept;
}

static bool is_good(const struct reply *reply)
{
	return reply != NULL && reply->error == ANSWER_OK;
}

/* Whether the servers could not tell, so that a later query may. */
static bool is_undecided(const struct reply *reply)
{
	switch (reply->error) {
	case ANSWER_OK:
	case ANSWER_NXDOMAIN:
	case ANSWER_NODATA:
	case ANSWER_PRIVATE:
		return false;
	default:
		return true;
	}
}

static bool any_good(const struct reply *const replies[FAMILY_COUNT])
{
	return is_good(replies[FAMILY_IPV4]) || is_good(replies[FAMILY_IPV6]);
}

/* --- the next answer */

struct list {
	const struct address *addresses;
	uint16_t count;
};

static struct list family_before(const struct answer *before, enum family family)
{
	if (family == FAMILY_IPV4)
		return (struct list){before->addresses, before->ipv4_count};
	return (struct list){before->addresses + before->ipv4_count, (uint16_t)(before->count - before->ipv4_count)};
}

/* The addresses that a family has now, and since when. */
static struct list family_now(struct record *record, const struct answer *before,
	const struct reply *const replies[FAMILY_COUNT], enum family family, int64_t now)
{
	const struct reply *reply = replies[family];

	if (is_good(reply)) {
		record->good[family] = now;
		return (struct list){reply->addresses, reply->count};
	}
	if (reply != NULL && any_good(replies) && !is_undecided(reply))
		record->good[family] = 0;
	if (record->good[family] == 0 || now - record->good[family] >= RECORD_KEEP_TIME)
		return (struct list){NULL, 0};
	return family_before(before, family);
}

static void add_current(struct answer *answer, const struct list *list)
{
	for (uint16_t i = 0; i < list->count; i++)
		if (!answer_has(answer, &list->addresses[i]))
			answer->addresses[answer->count++] = list->addresses[i];
}

static void add_recent(struct answer *answer, const struct address *address, uint32_t seen, int64_t now)
{
	if (answer->recent_count == ANSWER_RECENT_MAX || now - (int64_t)seen * MS >= RECORD_KEEP_TIME ||
		answer_has(answer, address))
		return;
	answer_set_seen(answer, answer->recent_count, seen);
	answer->addresses[answer->count + answer->recent_count++] = *address;
}

/* The latest first, so that these find room. */
static void remember(struct answer *answer, const struct answer *before, int64_t now)
{
	for (uint16_t i = 0; i < before->count; i++)
		add_recent(answer, &before->addresses[i], (uint32_t)(now / MS), now);
	for (uint16_t i = 0; i < before->recent_count; i++)
		add_recent(answer, &before->addresses[before->count + i], answer_seen(before, i), now);
}

static void set_state(struct answer *answer, const struct answer *before,
	const struct reply *const replies[FAMILY_COUNT])
{
	answer->state = before->state;
	answer->error = before->error;
	if (any_good(replies)) {
		answer->state = ANSWER_GOOD;
		answer->error = ANSWER_OK;
	} else if (replies[FAMILY_IPV4] != NULL && replies[FAMILY_IPV6] != NULL) {
		/* The later one in the list says more. */
		answer->state = answer->count > 0 ? ANSWER_STALE : ANSWER_FAILED;
		answer->error = replies[FAMILY_IPV4]->error > replies[FAMILY_IPV6]->error ? replies[FAMILY_IPV4]->error
											  : replies[FAMILY_IPV6]->error;
	}
}

struct answer *record_answer(struct record *record, const struct answer *before,
	const struct reply *const replies[FAMILY_COUNT], int64_t now)
{
	size_t recent_max = (size_t)before->count + before->recent_count;
	struct list lists[FAMILY_COUNT];
	struct answer *answer;

	if (recent_max > ANSWER_RECENT_MAX)
		recent_max = ANSWER_RECENT_MAX;
	for (enum family family = 0; family < FAMILY_COUNT; family++)
		lists[family] = family_now(record, before, replies, family, now);
	answer = answer_new(answer_name(before), (size_t)lists[0].count + lists[1].count, recent_max);
	if (answer == NULL)
		return NULL;
	add_current(answer, &lists[FAMILY_IPV4]);
	answer->ipv4_count = answer->count;
	add_current(answer, &lists[FAMILY_IPV6]);
	/* When the last good ones are given up, all is. */
	set_state(answer, before, replies);
	if (answer->state != ANSWER_FAILED)
		remember(answer, before, now);
	return answer;
}

/* --- when to look again */

static int64_t refresh_pause(const struct reply *const replies[FAMILY_COUNT], int64_t refresh_rate)
{
	int64_t pause = RECORD_REFRESH_MAX;

	for (enum family family = 0; family < FAMILY_COUNT; family++) {
		const struct reply *reply = replies[family];
		int64_t own = RECORD_REFRESH_MAX;

		if (is_good(reply))
			own = reply->ttl > 0 ? (int64_t)reply->ttl * MS : refresh_rate;
		else if (is_undecided(reply))
			own = RECORD_RETRY_MAX;
		if (own < pause)
			pause = own;
	}
	return pause < RECORD_REFRESH_MIN ? RECORD_REFRESH_MIN : pause;
}

static int64_t share(int64_t pause, unsigned part, uint32_t random)
{
	return pause / part * (random & 0xffff) / 0x10000;
}

int64_t record_pause(struct record *record, const struct reply *const replies[FAMILY_COUNT], int64_t refresh_rate,
	uint32_t random)
{
	int64_t pause = RECORD_RETRY_MIN;

	if (any_good(replies)) {
		record->failures = 0;
		pause = refresh_pause(replies, refresh_rate);
		return pause + share(pause, REFRESH_SPREAD, random);
	}
	for (uint32_t i = 0; i < record->failures && pause < RECORD_RETRY_MAX; i++)
		pause *= 2;
	record->failures++;
	if (pause > RECORD_RETRY_MAX)
		pause = RECORD_RETRY_MAX;
	return pause - share(pause, RETRY_SPREAD, random);
}
