/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The resolver's thread: takes what others ask of it, does what is due, and sleeps until a server answers, a time
 * comes, or somebody wakes it.
 */
#include "proxy/dns/resolver.h"

#include "proxy/dns/resolver_state.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define EVENT_MAX 16

/* When memory is out, names that could not be made are tried again after this time, in milliseconds. */
#define WANTED_RETRY 1000

int64_t resolver_now(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* --- begin and end */

static int open_epoll(struct resolver *resolver, struct error *e)
{
	struct epoll_event event = {.events = EPOLLIN};

	resolver->epoll = epoll_create1(EPOLL_CLOEXEC);
	resolver->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	event.data.fd = resolver->wake;
	if (resolver->epoll < 0 || resolver->wake < 0 ||
		epoll_ctl(resolver->epoll, EPOLL_CTL_ADD, resolver->wake, &event) < 0)
		return error_set_errno(e, errno, "cannot watch the DNS sockets");
	return 0;
}

static int open_all(struct resolver *resolver, const struct servers *servers, struct error *e)
{
	int rc = open_epoll(resolver, e);

	if (rc == 0 && (index_init(&resolver->index) < 0 || agenda_init(&resolver->agenda, RESOLVER_ENTRY_MAX) < 0))
		rc = error_set(e, ENOMEM, "no memory for the resolver");
	return rc == 0 ? query_open(resolver->epoll, servers, &resolver->query, e) : rc;
}

int resolver_open(const struct servers *servers, const struct resolver_settings *settings, struct resolver **ret_resolver,
	struct error *e)
{
	struct resolver *resolver = calloc(1, sizeof *resolver);
	int rc;

	if (resolver == NULL)
		return error_set(e, ENOMEM, "no memory for the resolver");
	resolver->epoll = resolver->wake = -1;
	resolver->settings = resolver->next_settings = *settings;
	resolver->guarded = settings->refuse_private;
	TAILQ_INIT(&resolver->entries);
	for (size_t i = 0; i < LANE_COUNT; i++) {
		TAILQ_INIT(&resolver->lanes[i].waited);
		TAILQ_INIT(&resolver->lanes[i].due);
	}
	TAILQ_INIT(&resolver->asked);
	TAILQ_INIT(&resolver->waiting);
	(void)pthread_mutex_init(&resolver->lock, NULL);
	rc = open_all(resolver, servers, e);
	if (rc < 0) {
		resolver_free(resolver);
		return rc;
	}
	*ret_resolver = resolver;
	return 0;
}

void resolver_free(struct resolver *resolver)
{
	struct resolver_entry *entry;

	if (resolver == NULL)
		return;
	resolver->closing = true;
	query_close(resolver->query);
	query_close(resolver->old_query);
	query_close(resolver->next_query);
	wait_end_all(resolver);
	while ((entry = TAILQ_FIRST(&resolver->entries)) != NULL) {
		TAILQ_REMOVE(&resolver->entries, entry, all);
		index_remove(&resolver->index, &entry->name);
		free(entry->questions);
		free(entry);
	}
	index_free(&resolver->index);
	agenda_free(&resolver->agenda);
	free(resolver->wanted);
	free(resolver->next_wanted);
	if (resolver->wake >= 0)
		(void)close(resolver->wake);
	if (resolver->epoll >= 0)
		(void)close(resolver->epoll);
	(void)pthread_mutex_destroy(&resolver->lock);
	free(resolver);
}

/* --- what other threads do */

void resolver_wake(const struct resolver *resolver)
{
	const uint64_t one = 1;

	while (write(resolver->wake, &one, sizeof one) < 0 && errno == EINTR)
		;
}

void resolver_stop(struct resolver *resolver)
{
	(void)pthread_mutex_lock(&resolver->lock);
	resolver->stopping = true;
	(void)pthread_mutex_unlock(&resolver->lock);
	resolver_wake(resolver);
}

int resolver_configure(struct resolver *resolver, const struct resolver_settings *settings, const char *const *names,
	size_t count, struct error *e)
{
	struct wanted *wanted;
	struct wanted *unused;
	int rc = wanted_new(names, count, RESOLVER_WANTED_MAX, &wanted, e);

	if (rc < 0)
		return rc;
	(void)pthread_mutex_lock(&resolver->lock);
	unused = resolver->next_wanted;
	resolver->next_wanted = wanted;
	resolver->next_settings = *settings;
	(void)pthread_mutex_unlock(&resolver->lock);
	free(unused);
	resolver_wake(resolver);
	return rc;
}

const struct answer *resolver_find(struct resolver *resolver, const char *name)
{
	const struct answer *answer = NULL;
	const struct index_name *found;

	(void)pthread_mutex_lock(&resolver->lock);
	found = index_find(&resolver->index, name);
	if (found != NULL)
		answer = answer_ref(found->answer);
	(void)pthread_mutex_unlock(&resolver->lock);
	return answer;
}

size_t resolver_find_names(struct resolver *resolver, const struct address *address, const struct answer **out,
	size_t max)
{
	size_t count;

	(void)pthread_mutex_lock(&resolver->lock);
	count = index_find_address(&resolver->index, address, out, max);
	for (size_t i = 0; i < count; i++)
		(void)answer_ref(out[i]);
	(void)pthread_mutex_unlock(&resolver->lock);
	return count;
}

/* --- the thread */

/* Returns false at the end. */
static bool take_inbox(struct resolver *resolver)
{
	struct wanted *unused = NULL;
	bool stopping;

	(void)pthread_mutex_lock(&resolver->lock);
	stopping = resolver->stopping;
	if (resolver->next_wanted != NULL) {
		unused = resolver->wanted;
		resolver->wanted = resolver->next_wanted;
		resolver->next_wanted = NULL;
		resolver->settings = resolver->next_settings;
	}
	queries_take_locked(resolver);
	wait_take_locked(resolver);
	(void)pthread_mutex_unlock(&resolver->lock);
	free(unused);
	return !stopping;
}

static void sooner(int64_t *timeout, int64_t other)
{
	if (other < 0)
		other = 0;
	if (*timeout < 0 || other < *timeout)
		*timeout = other;
}

static int timeout_of(struct resolver *resolver, int64_t now)
{
	const struct agenda_item *item = agenda_first(&resolver->agenda);
	const struct resolver_wait *wait;
	int64_t timeout = queries_timeout(resolver);

	if (item != NULL)
		sooner(&timeout, item->due - now);
	if (resolver->wanted != NULL)
		sooner(&timeout, WANTED_RETRY);
	(void)pthread_mutex_lock(&resolver->lock);
	wait = TAILQ_FIRST(&resolver->waiting);
	if (wait != NULL)
		sooner(&timeout, wait->deadline - now);
	(void)pthread_mutex_unlock(&resolver->lock);
	return timeout > INT_MAX ? INT_MAX : (int)timeout;
}

static void serve(struct resolver *resolver, int timeout)
{
	struct epoll_event events[EVENT_MAX];
	int count = epoll_wait(resolver->epoll, events, EVENT_MAX, timeout);
	uint64_t woken;

	for (int i = 0; i < count; i++) {
		if (events[i].data.fd == resolver->wake)
			(void)!read(resolver->wake, &woken, sizeof woken);
		else
			queries_serve(resolver, events[i].data.fd, events[i].events);
	}
	queries_tick(resolver);
}

void resolver_run(struct resolver *resolver)
{
	while (take_inbox(resolver)) {
		int64_t now = resolver_now();

		names_apply_servers(resolver);
		names_apply_guard(resolver);
		names_apply_wanted(resolver, now);
		entry_run_agenda(resolver, now);
		entry_start_due(resolver, now);
		wait_expire(resolver, now);
		serve(resolver, timeout_of(resolver, resolver_now()));
	}
}
