/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/net/limit.h"

#define SECOND INT64_C(1000)

/* Milliseconds, where nobody says otherwise. */
#define CONNECT_TIMEOUT (10 * SECOND)
#define IDLE_TIME (3600 * SECOND)
#define PASSTHROUGH_IDLE_TIME (300 * SECOND)

/* What the kernel takes of seconds and of probes (MAX_TCP_KEEPIDLE, MAX_TCP_KEEPINTVL, MAX_TCP_KEEPCNT). */
#define KEEPALIVE_SECONDS_MAX 32767
#define KEEPALIVE_PROBES_MAX 127

static const struct destination_pool *pool_of(const struct policy_cluster *cluster)
{
	static const struct destination_pool none;

	return cluster != NULL && cluster->traffic.pool != NULL ? cluster->traffic.pool : &none;
}

static int64_t milliseconds(const struct duration *duration, int64_t otherwise)
{
	return duration->is_set ? duration->nanoseconds / 1000000 : otherwise;
}

int64_t limit_connect_timeout(const struct configuration *configuration, const struct policy_cluster *cluster)
{
	int64_t of_mesh = configuration != NULL ? configuration->mesh.connect_timeout / 1000000 : CONNECT_TIMEOUT;

	return milliseconds(&pool_of(cluster)->connect_timeout, of_mesh);
}

int64_t limit_tcp_idle_time(const struct policy_cluster *cluster)
{
	int64_t time = milliseconds(&pool_of(cluster)->tcp_idle_timeout, IDLE_TIME);

	return time > 0 ? time : LIMIT_NEVER;
}

int64_t limit_http_idle_time(const struct policy_cluster *cluster)
{
	return milliseconds(&pool_of(cluster)->http_idle_timeout, cluster != NULL ? IDLE_TIME : PASSTHROUGH_IDLE_TIME);
}

int64_t limit_duration(const struct policy_cluster *cluster)
{
	return milliseconds(&pool_of(cluster)->max_connection_duration, LIMIT_NEVER);
}

uint32_t limit_requests(const struct policy_cluster *cluster)
{
	int32_t requests = pool_of(cluster)->max_requests_per_connection.value;

	return requests > 0 ? (uint32_t)requests : UINT32_MAX;
}

/* Whole seconds, as in Istio; 0: the kernel's own. */
static int seconds(const struct duration *duration)
{
	int64_t time = duration->nanoseconds / 1000000 / SECOND;

	if (duration->is_set && time == 0)
		return 1;
	return (int)(time < KEEPALIVE_SECONDS_MAX ? time : KEEPALIVE_SECONDS_MAX);
}

bool limit_keep_alive(const struct policy_cluster *cluster, const struct side *side)
{
	const struct destination_pool *pool = pool_of(cluster);
	int probes = pool->keepalive_probes.value;

	if (pool->keepalive)
		side_keep_alive(side, seconds(&pool->keepalive_time), seconds(&pool->keepalive_interval),
			probes < KEEPALIVE_PROBES_MAX ? probes : KEEPALIVE_PROBES_MAX);
	return pool->keepalive;
}
