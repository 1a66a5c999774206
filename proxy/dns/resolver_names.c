/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A change of policy: the old names go before the new ones come, so that both find room.
 */
#include "proxy/dns/resolver_state.h"

#include <stdlib.h>
#include <string.h>

/* Gives every name that is there already the policy's generation. */
static void mark_wanted(struct resolver *resolver, const struct wanted *wanted)
{
	const char *name = wanted->names;

	for (size_t i = 0; i < wanted->count; i++, name += strlen(name) + 1) {
		struct resolver_entry *entry = (struct resolver_entry *)index_find(&resolver->index, name);

		if (entry != NULL)
			entry->generation = resolver->generation;
	}
}

static void drop_others(struct resolver *resolver, int64_t now)
{
	struct resolver_entry *entry = TAILQ_FIRST(&resolver->entries);

	while (entry != NULL) {
		struct resolver_entry *next = TAILQ_NEXT(entry, all);

		if (entry->wanted && entry->generation != resolver->generation) {
			(void)pthread_mutex_lock(&resolver->lock);
			entry->wanted = false;
			entry->used = 0;
			resolver->wanted_count--;
			(void)pthread_mutex_unlock(&resolver->lock);
			(void)entry_drop(resolver, entry, now);
		}
		entry = next;
	}
}

/* Returns false without memory. */
static bool add_one_locked(struct resolver *resolver, const char *name)
{
	struct resolver_entry *entry = (struct resolver_entry *)index_find(&resolver->index, name);

	if (entry == NULL)
		entry = entry_new_locked(resolver, name, true);
	if (entry == NULL)
		return false;
	entry->generation = resolver->generation;
	if (!entry->wanted) {
		entry->wanted = true;
		resolver->wanted_count++;
		if (entry->list != NULL)
			entry_make_due(resolver, entry);
	}
	return true;
}

/* Locks for one name at a time, so that nobody waits for all of them. */
static bool add_missing(struct resolver *resolver, const struct wanted *wanted)
{
	const char *name = wanted->names;
	bool complete = true;

	for (size_t i = 0; i < wanted->count; i++, name += strlen(name) + 1) {
		(void)pthread_mutex_lock(&resolver->lock);
		complete &= add_one_locked(resolver, name);
		(void)pthread_mutex_unlock(&resolver->lock);
	}
	return complete;
}

void names_apply_wanted(struct resolver *resolver, int64_t now)
{
	if (resolver->wanted == NULL)
		return;
	resolver->generation++;
	mark_wanted(resolver, resolver->wanted);
	drop_others(resolver, now);
	if (!add_missing(resolver, resolver->wanted))
		return;
	free(resolver->wanted);
	resolver->wanted = NULL;
}

void names_apply_servers(struct resolver *resolver)
{
	struct resolver_entry *entry;

	if (!resolver->has_new_servers)
		return;
	resolver->has_new_servers = false;
	for (entry = TAILQ_FIRST(&resolver->entries); entry != NULL; entry = TAILQ_NEXT(entry, all)) {
		entry->record.failures = 0;
		if (entry->name.answer->state != ANSWER_GOOD)
			entry_make_due(resolver, entry);
	}
}

void names_apply_guard(struct resolver *resolver)
{
	struct resolver_entry *entry;

	if (resolver->guarded == resolver->settings.refuse_private)
		return;
	resolver->guarded = resolver->settings.refuse_private;
	for (entry = TAILQ_FIRST(&resolver->entries); entry != NULL; entry = TAILQ_NEXT(entry, all)) {
		entry->record = (struct record){0};
		entry_make_due(resolver, entry);
	}
}
