/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A wait is always in one list at most: asked (the thread has not seen it yet), waiting, or its client's done. That
 * list, under the resolver's one lock, is its state; so it can be cancelled at any moment.
 */
#include "proxy/dns/resolver_state.h"

#include "proxy/dns/name.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* --- the resolver's side */

static void move(struct resolver_wait *wait, struct resolver_waits *list)
{
	if (wait->list != NULL)
		TAILQ_REMOVE(wait->list, wait, links);
	wait->list = list;
	if (list != NULL)
		TAILQ_INSERT_TAIL(list, wait, links);
}

static void leave_entry(struct resolver_wait *wait)
{
	if (wait->entry != NULL)
		wait->entry->waiting--;
	wait->entry = NULL;
}

/* The client's descriptor is written to under the lock: it may be closed as soon as the client has the wait. */
static void end_wait(struct resolver_wait *wait, const struct answer *answer)
{
	const uint64_t one = 1;

	wait->answer = answer != NULL && answer->state != ANSWER_NONE ? answer_ref(answer) : NULL;
	leave_entry(wait);
	move(wait, &wait->client->done);
	while (write(wait->client->wake, &one, sizeof one) < 0 && errno == EINTR)
		;
}

static void wait_for(struct resolver *resolver, struct resolver_wait *wait, struct resolver_entry *entry)
{
	entry->waiting++;
	wait->entry = entry;
	move(wait, &resolver->waiting);
}

static struct resolver_entry *find_or_make(struct resolver *resolver, const char *name)
{
	struct index_name *found = index_find(&resolver->index, name);

	if (found != NULL)
		return (struct resolver_entry *)found;
	if (resolver->entry_count - resolver->wanted_count >= RESOLVER_DEMAND_MAX)
		return NULL;
	return entry_new_locked(resolver, name, false);
}

void wait_take_locked(struct resolver *resolver)
{
	struct resolver_wait *wait;

	while ((wait = TAILQ_FIRST(&resolver->asked)) != NULL) {
		struct resolver_entry *entry = find_or_make(resolver, wait->name);

		if (entry == NULL) {
			end_wait(wait, NULL);
			continue;
		}
		entry->used = resolver_now();
		if (entry->name.answer->state != ANSWER_NONE) {
			end_wait(wait, entry->name.answer);
			continue;
		}
		wait_for(resolver, wait, entry);
		entry_make_due(resolver, entry);
	}
}

void wait_answer_locked(struct resolver *resolver, struct resolver_entry *entry)
{
	struct resolver_wait *wait = entry->waiting > 0 ? TAILQ_FIRST(&resolver->waiting) : NULL;

	while (wait != NULL) {
		struct resolver_wait *next = TAILQ_NEXT(wait, links);

		if (wait->entry == entry)
			end_wait(wait, entry->name.answer);
		wait = next;
	}
}

void wait_expire(struct resolver *resolver, int64_t now)
{
	struct resolver_wait *wait;

	(void)pthread_mutex_lock(&resolver->lock);
	while ((wait = TAILQ_FIRST(&resolver->waiting)) != NULL && wait->deadline <= now)
		end_wait(wait, NULL);
	(void)pthread_mutex_unlock(&resolver->lock);
}

void wait_end_all(struct resolver *resolver)
{
	struct resolver_wait *wait;

	while ((wait = TAILQ_FIRST(&resolver->asked)) != NULL || (wait = TAILQ_FIRST(&resolver->waiting)) != NULL)
		end_wait(wait, NULL);
}

/* --- the clients' side */

int resolver_client_init(struct resolver_client *client, struct error *e)
{
	TAILQ_INIT(&client->done);
	client->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return client->wake >= 0 ? 0 : error_set_errno(e, errno, "cannot make an eventfd");
}

void resolver_client_free(struct resolver_client *client)
{
	if (client->wake >= 0)
		(void)close(client->wake);
	client->wake = -1;
}

int resolver_lookup(struct resolver *resolver, struct resolver_client *client, struct resolver_wait *wait,
	const char *name)
{
	int64_t now = resolver_now();
	struct resolver_entry *entry;
	bool is_new = false;

	*wait = (struct resolver_wait){.client = client, .name = name, .deadline = now + RESOLVER_WAIT_TIME};
	if (!name_is_normal(name))
		return -EINVAL;
	(void)pthread_mutex_lock(&resolver->lock);
	entry = (struct resolver_entry *)index_find(&resolver->index, name);
	if (entry != NULL && entry->name.answer->state != ANSWER_NONE) {
		entry->used = now;
		wait->answer = answer_ref(entry->name.answer);
	} else if (entry != NULL && entry->waiting > 0) {
		/* The thread is about it already; a server that never answers must not cost each request a wake-up. */
		entry->used = now;
		wait_for(resolver, wait, entry);
	} else {
		is_new = true;
		move(wait, &resolver->asked);
	}
	(void)pthread_mutex_unlock(&resolver->lock);
	if (is_new)
		resolver_wake(resolver);
	return wait->answer == NULL;
}

void resolver_cancel(struct resolver *resolver, struct resolver_wait *wait)
{
	(void)pthread_mutex_lock(&resolver->lock);
	leave_entry(wait);
	move(wait, NULL);
	answer_unref(wait->answer);
	wait->answer = NULL;
	(void)pthread_mutex_unlock(&resolver->lock);
}

struct resolver_wait *resolver_client_next(struct resolver *resolver, struct resolver_client *client)
{
	struct resolver_wait *wait;
	uint64_t count;

	(void)pthread_mutex_lock(&resolver->lock);
	wait = TAILQ_FIRST(&client->done);
	if (wait != NULL)
		move(wait, NULL);
	else
		while (read(client->wake, &count, sizeof count) < 0 && errno == EINTR)
			;
	(void)pthread_mutex_unlock(&resolver->lock);
	return wait;
}
