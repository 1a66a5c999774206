/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a name: made due, looked up (two questions in flight), answered, put on the agenda for the next time.
 *
 * Servers that never answer for one family are common. So the first family that has addresses waits for the other for
 * GRACE_TIME only: then what is known is published, and once more when the lookup is over.
 */
#include "proxy/dns/resolver_state.h"

#include <stddef.h>
#include <stdlib.h>

/*
 * Lookups in flight, in each lane: a large policy must not flood the pod's DNS server, but names that somebody waits
 * for must not stand behind those of dead servers.
 */
#define IN_FLIGHT_MAX 64
#define IN_FLIGHT_WAITED_MAX 128

/* Milliseconds (RFC 8305 section 3). */
#define GRACE_TIME 50

static const struct reply no_memory = {.error = ANSWER_NO_MEMORY};

static struct resolver_entry *entry_of(struct agenda_item *item)
{
	return (struct resolver_entry *)(void *)((char *)item - offsetof(struct resolver_entry, agenda));
}

struct resolver_entry *entry_new_locked(struct resolver *resolver, const char *name, bool wanted)
{
	struct resolver_entry *entry = NULL;
	struct answer *answer = NULL;

	if (resolver->entry_count < RESOLVER_ENTRY_MAX) {
		entry = calloc(1, sizeof *entry);
		answer = answer_new(name, 0, 0);
	}
	if (entry == NULL || answer == NULL) {
		free(entry);
		free(answer);
		return NULL;
	}
	entry->resolver = resolver;
	entry->wanted = wanted;
	resolver->wanted_count += wanted;
	index_add(&resolver->index, &entry->name, answer);
	TAILQ_INSERT_TAIL(&resolver->entries, entry, all);
	resolver->entry_count++;
	entry_make_due(resolver, entry);
	return entry;
}

static void leave_list(struct resolver_entry *entry)
{
	if (entry->list != NULL)
		TAILQ_REMOVE(entry->list, entry, due);
	entry->list = NULL;
}

void entry_make_due(struct resolver *resolver, struct resolver_entry *entry)
{
	struct resolver_lane *lane = &resolver->lanes[entry->wanted ? LANE_POLICY : LANE_DEMAND];
	struct resolver_entries *list = entry->waiting > 0 ? &lane->waited : &lane->due;

	if (entry->questions != NULL || entry->list == list)
		return;
	leave_list(entry);
	entry->list = list;
	TAILQ_INSERT_TAIL(list, entry, due);
	agenda_remove(&resolver->agenda, &entry->agenda);
}

static bool is_needed(const struct resolver_entry *entry, int64_t now)
{
	return entry->wanted || entry->waiting > 0 || (entry->used != 0 && now - entry->used < RESOLVER_IDLE_TIME);
}

bool entry_drop(struct resolver *resolver, struct resolver_entry *entry, int64_t now)
{
	bool needed;

	(void)pthread_mutex_lock(&resolver->lock);
	needed = entry->questions != NULL || is_needed(entry, now);
	if (!needed)
		index_remove(&resolver->index, &entry->name);
	(void)pthread_mutex_unlock(&resolver->lock);
	if (needed)
		return false;
	leave_list(entry);
	agenda_remove(&resolver->agenda, &entry->agenda);
	TAILQ_REMOVE(&resolver->entries, entry, all);
	resolver->entry_count--;
	free(entry);
	return true;
}

/* --- answers */

/* Lets everybody see what the replies say. Returns false without memory. */
static bool publish(struct resolver *resolver, struct resolver_entry *entry,
	const struct reply *const replies[FAMILY_COUNT], int64_t now, int64_t expires)
{
	struct answer *fresh = record_answer(&entry->record, entry->name.answer, replies, now);
	struct index_link *links = fresh != NULL ? index_links(&resolver->index, &entry->name, fresh) : NULL;
	const struct answer *answer = fresh;

	if (fresh == NULL || (links == NULL && fresh->count + fresh->recent_count > 0)) {
		answer_unref(fresh);
		return false;
	}
	fresh->expires = expires;
	(void)pthread_mutex_lock(&resolver->lock);
	index_replace(&resolver->index, &entry->name, &answer, &links);
	wait_answer_locked(resolver, entry);
	(void)pthread_mutex_unlock(&resolver->lock);
	answer_unref(answer);
	free(links);
	return true;
}

static void publish_part(struct resolver *resolver, struct resolver_entry *entry, int64_t now)
{
	const struct reply *replies[FAMILY_COUNT];

	for (enum family family = 0; family < FAMILY_COUNT; family++)
		replies[family] = entry->arrived[family] ? &entry->questions[family].reply : NULL;
	(void)publish(resolver, entry, replies, now, now);
	agenda_remove(&resolver->agenda, &entry->agenda);
}

static uint32_t draw(struct resolver *resolver)
{
	resolver->draws++;
	return (uint32_t)hash_bytes(&resolver->index.key, &resolver->draws, sizeof resolver->draws);
}

static void end_lookup(struct resolver *resolver, struct resolver_entry *entry,
	const struct reply *const replies[FAMILY_COUNT], int64_t now)
{
	int64_t pause = record_pause(&entry->record, replies, resolver->settings.refresh_rate, draw(resolver));

	if (!publish(resolver, entry, replies, now, now + pause))
		pause = RECORD_RETRY_MIN;
	free(entry->questions);
	entry->questions = NULL;
	entry->lane->in_flight--;
	if (!entry_drop(resolver, entry, now))
		agenda_set(&resolver->agenda, &entry->agenda, now + pause);
}

/* --- lookups */

static void take_reply(struct question *question)
{
	struct resolver_entry *entry = question->owner;
	struct resolver *resolver = entry->resolver;
	int64_t now = resolver_now();

	if (resolver->closing)
		return;
	reply_filter(&question->reply, answer_name(entry->name.answer), resolver->settings.refuse_private);
	entry->arrived[question->family] = true;
	if (entry->arrived[FAMILY_IPV4] && entry->arrived[FAMILY_IPV6]) {
		const struct reply *const replies[] = {&entry->questions[FAMILY_IPV4].reply,
			&entry->questions[FAMILY_IPV6].reply};

		end_lookup(resolver, entry, replies, now);
	} else if (question->reply.error == ANSWER_OK) {
		agenda_set(&resolver->agenda, &entry->agenda, now + GRACE_TIME);
	}
}

static void start_lookup(struct resolver *resolver, struct resolver_entry *entry, struct resolver_lane *lane,
	int64_t now)
{
	static const struct reply *const replies[FAMILY_COUNT] = {&no_memory, &no_memory};
	struct question *questions = calloc(FAMILY_COUNT, sizeof *questions);

	entry->questions = questions;
	entry->lane = lane;
	lane->in_flight++;
	if (questions == NULL) {
		end_lookup(resolver, entry, replies, now);
		return;
	}
	for (enum family family = 0; family < FAMILY_COUNT; family++) {
		entry->arrived[family] = false;
		questions[family] = (struct question){.family = family, .done = take_reply, .owner = entry};
	}
	/* The second one may be over before this returns, and the entry gone with it. */
	query_ask(resolver->query, &questions[FAMILY_IPV4], answer_name(entry->name.answer));
	query_ask(resolver->query, &questions[FAMILY_IPV6], answer_name(entry->name.answer));
}

void entry_run_agenda(struct resolver *resolver, int64_t now)
{
	struct agenda_item *item;

	while ((item = agenda_first(&resolver->agenda)) != NULL && item->due <= now) {
		struct resolver_entry *entry = entry_of(item);

		if (entry->questions != NULL)
			publish_part(resolver, entry, now);
		else if (!entry_drop(resolver, entry, now))
			entry_make_due(resolver, entry);
	}
}

static void start_some(struct resolver *resolver, struct resolver_lane *lane, struct resolver_entries *list, size_t max,
	int64_t now)
{
	struct resolver_entry *entry;

	while (lane->in_flight < max && (entry = TAILQ_FIRST(list)) != NULL) {
		leave_list(entry);
		start_lookup(resolver, entry, lane, now);
	}
}

void entry_start_due(struct resolver *resolver, int64_t now)
{
	for (size_t i = 0; i < LANE_COUNT; i++) {
		struct resolver_lane *lane = &resolver->lanes[i];

		start_some(resolver, lane, &lane->waited, IN_FLIGHT_WAITED_MAX, now);
		start_some(resolver, lane, &lane->due, IN_FLIGHT_MAX, now);
	}
}
