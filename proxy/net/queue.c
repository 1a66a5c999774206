/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/net/queue.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* --- queues */

struct queue *queue_find(const struct queues *queues, const struct link_key *key)
{
	struct queue *queue = queues->lists[link_key_list(key, QUEUE_LISTS)];

	while (queue != NULL && !link_key_equal(&queue->key, key))
		queue = queue->next;
	return queue;
}

struct queue *queue_make(struct queues *queues, struct circuit *circuit, const struct link_key *key)
{
	struct queue **list = &queues->lists[link_key_list(key, QUEUE_LISTS)];
	struct queue *queue = queue_find(queues, key);

	if (queue != NULL)
		return queue;
	queue = calloc(1, sizeof *queue);
	if (queue == NULL)
		return NULL;
	queue->next = *list;
	queue->queues = queues;
	queue->circuit = circuit_ref(circuit);
	queue->key = *key;
	*list = queue;
	return queue;
}

/* Frees a queue that has neither connections nor waiters. */
static void release(struct queue *queue)
{
	struct queue **at = &queue->queues->lists[link_key_list(&queue->key, QUEUE_LISTS)];

	if (queue->connections > 0 || queue->first != NULL)
		return;
	while (*at != queue)
		at = &(*at)->next;
	*at = queue->next;
	circuit_unref(queue->circuit);
	free(queue);
}

/* --- connections */

bool queue_has_room(const struct queue *queue)
{
	return queue->connections == 0 || circuit_has_room(queue->circuit, CIRCUIT_CONNECTIONS);
}

void queue_adopt(struct queue *queue, struct circuit_share *share)
{
	circuit_join(share, queue->circuit);
	circuit_force(share, CIRCUIT_CONNECTIONS);
	queue->connections++;
}

bool queue_open(struct queue *queue, struct circuit_share *share)
{
	circuit_join(share, queue->circuit);
	if (!circuit_take(share, CIRCUIT_CONNECTIONS)) {
		if (queue->connections > 0) {
			circuit_leave(share);
			return false;
		}
		circuit_force(share, CIRCUIT_CONNECTIONS);
	}
	queue->connections++;
	return true;
}

void queue_close(struct queue *queue, struct circuit_share *share)
{
	assert(queue->connections > 0);
	queue->connections--;
	circuit_leave(share);
	queue_call(queue);
	release(queue);
}

/* --- waiters */

void queue_wait(struct queue *queue, struct queue_waiter *waiter)
{
	assert(waiter->queue == NULL);
	waiter->queue = queue;
	waiter->is_called = waiter->has_failed = false;
	waiter->next = NULL;
	waiter->previous = queue->last;
	*(queue->last != NULL ? &queue->last->next : &queue->first) = waiter;
	queue->last = waiter;
}

static void call(const struct queue *queue, struct queue_waiter *waiter)
{
	const struct timer now = {.at = 0, .index = waiter->index, .generation = waiter->generation};

	waiter->is_called = true;
	/* Without memory, the look once a second finds that it was called. */
	(void)timers_add(queue->queues->timers, &now);
}

void queue_call(struct queue *queue)
{
	struct queue_waiter *waiter = queue->first;

	while (waiter != NULL && waiter->is_called)
		waiter = waiter->next;
	if (waiter != NULL)
		call(queue, waiter);
}

void queue_fail(struct queue *queue, enum http_failure failure, const char *reason)
{
	queue->failure = failure;
	(void)snprintf(queue->reason, sizeof queue->reason, "%s", reason != NULL ? reason : "");
	for (struct queue_waiter *waiter = queue->first; waiter != NULL; waiter = waiter->next) {
		waiter->has_failed = true;
		if (!waiter->is_called)
			call(queue, waiter);
	}
}

bool queue_is_due(const struct queue_waiter *waiter)
{
	const struct queue *queue = waiter->queue;

	return queue != NULL && (waiter->is_called || (queue->first == waiter && queue_has_room(queue)));
}

void queue_leave(struct queue_waiter *waiter)
{
	struct queue *queue = waiter->queue;

	if (queue == NULL)
		return;
	*(waiter->previous != NULL ? &waiter->previous->next : &queue->first) = waiter->next;
	*(waiter->next != NULL ? &waiter->next->previous : &queue->last) = waiter->previous;
	waiter->queue = NULL;
	if (waiter->is_called || queue_has_room(queue))
		queue_call(queue);
	release(queue);
}
