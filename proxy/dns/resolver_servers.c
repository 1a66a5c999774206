/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A change of servers is another set of questions (proxy/dns/query.h) beside the old one, which goes when its last
 * question is over. There are never more than these two: a further change waits until then, and the last one counts.
 */
#include "proxy/dns/resolver_state.h"

#include <stddef.h>

int resolver_set_servers(struct resolver *resolver, const struct servers *servers, struct error *e)
{
	struct query *unused;
	struct query *query;
	int rc = query_open(resolver->epoll, servers, &query, e);

	if (rc < 0)
		return rc;
	(void)pthread_mutex_lock(&resolver->lock);
	unused = resolver->next_query;
	resolver->next_query = query;
	(void)pthread_mutex_unlock(&resolver->lock);
	query_close(unused);
	resolver_wake(resolver);
	return 0;
}

void queries_take_locked(struct resolver *resolver)
{
	if (resolver->next_query == NULL || resolver->old_query != NULL)
		return;
	resolver->old_query = resolver->query;
	resolver->query = resolver->next_query;
	resolver->next_query = NULL;
	resolver->has_new_servers = true;
}

void queries_serve(struct resolver *resolver, int fd, uint32_t events)
{
	query_serve(resolver->query, fd, events);
	if (resolver->old_query != NULL)
		query_serve(resolver->old_query, fd, events);
}

void queries_tick(struct resolver *resolver)
{
	query_tick(resolver->query);
	if (resolver->old_query == NULL)
		return;
	query_tick(resolver->old_query);
	if (!query_is_idle(resolver->old_query))
		return;
	query_close(resolver->old_query);
	resolver->old_query = NULL;
}

int queries_timeout(const struct resolver *resolver)
{
	int timeout = query_timeout(resolver->query);
	int old = resolver->old_query != NULL ? query_timeout(resolver->old_query) : -1;

	return timeout < 0 || (old >= 0 && old < timeout) ? old : timeout;
}
