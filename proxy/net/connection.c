/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a connection:
 *
 *     accept --> [DETECTING --> [RESOLVING -->]] CONNECTING --> RELAYING --> ENDED
 *        |           |              |               |                        ^
 *        |           +--> HTTP -----|---------------|------------------------+   request by request
 *        |           |              |               +-- refused, timed out --+   the client is reset, as the
 *        |           +-- blocked ---+-- no address --------------------------+   destination would have done
 *        +-- dialled directly, a loop ---------------------------------------+
 *
 * connection_set_state() alone changes the state. Without a configuration, and where an address alone decides, it dials
 * at once. Else the client's first bytes are looked at, in its socket, for as long as the configuration says; a client
 * that says nothing is decided about by its address.
 */
#include "proxy/net/connection.h"

#include "proxy/dns/resolver.h"
#include "proxy/net/destination.h"
#include "proxy/net/detect.h"
#include "proxy/net/limit.h"
#include "proxy/net/relay.h"
#include "proxy/net/session.h"
#include "proxy/net/upstream.h"
#include "proxy/policy/suggest.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Milliseconds that a connection goes on which a new configuration does not allow any more. */
#define REVOKE_GRACE 5000

/* Addresses of a cluster that one connection tries. */
#define TRIES_MAX 3

/* --- states */

void connection_wake(struct connection *connection, struct connection_context *context, int64_t at)
{
	const struct timer timer = {.at = at, .index = connection->index, .generation = connection->generation};

	/* Without memory, the look once a second will do. */
	(void)timers_add(&context->timers, &timer);
}

void connection_set_state(struct connection *connection, struct connection_context *context, enum connection_state state,
	int64_t deadline)
{
	assert(state >= connection->state);
	connection->state = state;
	connection->active = context->now;
	connection->deadline = deadline;
	if (deadline != INT64_MAX && connection->configuration != NULL)
		connection_wake(connection, context, deadline);
}

static void suggest(struct connection *connection, struct connection_context *context);

void connection_end(struct connection *connection, struct connection_context *context, enum facts_end how)
{
	connection->facts.end = how;
	upstream_forget_lookup(connection, context);
	if (connection->facts.has_upstream)
		destination_forget(&connection->facts.upstream_local);
	side_close(&connection->client);
	side_close(&connection->upstream);
	circuit_leave(&connection->circuit);
	sniff_end(&connection->sniff, &connection->facts);
	session_free(connection);
	connection->facts.duration = context->now - connection->began;
	connection_judge(connection, context);
	suggest(connection, context);
	if (!connection->silent)
		metrics_close(context->metrics, &connection->share, &connection->facts);
	connection_set_state(connection, context, CONNECTION_ENDED, INT64_MAX);
}

void connection_end_with_reset(struct connection *connection, struct connection_context *context, enum facts_end how)
{
	side_reset(&connection->client);
	side_reset(&connection->upstream);
	connection_end(connection, context, how);
}

int connection_watch(struct connection *connection, const struct connection_context *context, bool upstream,
	uint32_t events)
{
	struct side *side = upstream ? &connection->upstream : &connection->client;

	return side_watch(side, context->epoll, events, context->reference(connection, upstream));
}

/* --- decisions */

static enum policy_protocol policy_protocol_of(const struct facts *facts)
{
	static const enum policy_protocol protocols[] = {
		[FACTS_OPAQUE] = POLICY_OPAQUE,
		[FACTS_TLS] = POLICY_TLS,
		[FACTS_HTTP] = POLICY_HTTP,
		[FACTS_HTTP2] = POLICY_HTTP2,
	};

	return protocols[facts->protocol];
}

/* The answers whose names a decision looks at. */
struct named {
	struct connection_context *context;
	const struct answer *answers[POLICY_NAMES_MAX];
	size_t count;
};

static size_t find_names(void *context, const struct address *address, const char **ret_names, size_t size)
{
	struct named *named = context;
	struct resolver *resolver = named->context->resolver;

	if (resolver == NULL || named->count > 0)
		return 0;
	named->count = resolver_find_names(resolver, address, named->answers, size < POLICY_NAMES_MAX ? size : POLICY_NAMES_MAX);
	for (size_t i = 0; i < named->count; i++)
		ret_names[i] = answer_name(named->answers[i]);
	return named->count;
}

static void fill_facts(const struct connection *connection, struct policy_facts *out)
{
	const char *name = connection_name(connection);

	*out = (struct policy_facts){.destination = connection->facts.destination,
		.protocol = policy_protocol_of(&connection->facts), .name = name, .name_length = name != NULL ? strlen(name) : 0};
}

static void decide(struct connection *connection, struct connection_context *context,
	const struct configuration *configuration, struct policy_decision *ret)
{
	struct named named = {.context = context};
	struct policy_facts facts;

	fill_facts(connection, &facts);
	facts.random = context->random_state = context->random_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
	facts.names = find_names;
	facts.context = &named;
	policy_decide(configuration->policy, &facts, ret);
	for (size_t i = 0; i < named.count; i++)
		answer_unref(named.answers[i]);
}

/* What was blocked, or would have been, tells in the log what lets it through. */
static void suggest(struct connection *connection, struct connection_context *context)
{
	struct policy_facts facts;

	if (connection->facts.end != FACTS_END_BLOCKED && !connection->facts.would_block)
		return;
	fill_facts(connection, &facts);
	connection->facts.suggestion = policy_suggest(context->suggestion, &facts);
}

/* --- the way on */

static void connect_failed(struct connection *connection, struct connection_context *context, enum facts_end how, int code);

static void dial(struct connection *connection, struct connection_context *context, int *spare)
{
	int rc;

	connection->tries++;
	rc = upstream_connect(connection, context, spare);
	if (rc < 0)
		connect_failed(connection, context, FACTS_END_CONNECT_FAILED, -rc);
	else
		connection_set_state(connection, context, CONNECTION_CONNECTING,
			context->now + limit_connect_timeout(connection->configuration, connection->cluster));
}

/* Whether the cluster may have one more connection. It is this one's until its end, at whatever address. */
static bool enter_circuit(struct connection *connection)
{
	circuit_join(&connection->circuit, configuration_find_circuit(connection->configuration, connection->cluster));
	return circuit_take(&connection->circuit, CIRCUIT_CONNECTIONS);
}

/* Finds an address and dials it; where it has to be waited for, connection_resolved() goes on. */
static void go_on(struct connection *connection, struct connection_context *context, int *spare)
{
	switch (upstream_find(connection, context)) {
	case DIAL_READY:
		if (enter_circuit(connection))
			dial(connection, context, spare);
		else
			connection_end_with_reset(connection, context, FACTS_END_OVERFLOW);
		break;
	case DIAL_UNKNOWN:
		connection_set_state(connection, context, CONNECTION_RESOLVING, context->now + RESOLVER_WAIT_TIME + 1000);
		break;
	case DIAL_NOWHERE:
		connection_end_with_reset(connection, context, FACTS_END_NO_ENDPOINT);
		break;
	}
}

/* Another address, if the cluster has one. */
static void connect_failed(struct connection *connection, struct connection_context *context, enum facts_end how, int code)
{
	unsigned count = dial_count(connection->cluster, context->resolver);
	int none = -1;

	connection->facts.error = code;
	if (connection->tries >= TRIES_MAX || connection->tries >= count) {
		connection_end_with_reset(connection, context, how);
		return;
	}
	upstream_drop(connection);
	if (upstream_find(connection, context) == DIAL_READY)
		dial(connection, context, &none);
	else
		connection_end_with_reset(connection, context, how);
}

/* TLS is begun for requests alone: what is relayed would leave in the clear, unless it is TLS of the client's own. */
static bool would_leave_clear(const struct policy_cluster *cluster)
{
	return cluster != NULL && cluster->traffic.tls != NULL && !service_protocol_is_tls(cluster->protocol);
}

/* Does what was decided for a connection whose bytes are passed on as they are. */
static void act(struct connection *connection, struct connection_context *context, const struct policy_decision *decision,
	int *spare)
{
	connection->cluster = decision->cluster;
	connection->verify = (uint8_t)decision->verify;
	connection->facts.cluster = decision->cluster_name;
	connection->facts.would_block = decision->would_block;
	if (connection->sniff.done)
		metrics_open(context->metrics, &connection->share, &connection->facts);
	if (decision->action == POLICY_BLOCK)
		connection_end_with_reset(connection, context, FACTS_END_BLOCKED);
	else if (decision->action == POLICY_NO_CLUSTER)
		connection_end_with_reset(connection, context, FACTS_END_NO_CLUSTER);
	else if (would_leave_clear(decision->cluster))
		connection_end_with_reset(connection, context, FACTS_END_CLEARTEXT);
	else if (connection_verify(connection, context))
		go_on(connection, context, spare);
}

/* --- the client's first bytes */

/* Looks at them, and goes on when they tell what it speaks; or, with `last`, in any case. */
static void look(struct connection *connection, struct connection_context *context, bool last)
{
	unsigned owners = policy_port_owners(connection->configuration->policy, connection->facts.destination.port);
	struct policy_decision decision;
	int none = -1;

	switch (detect(connection, context, (owners & POLICY_PORT_HTTP) != 0, last)) {
	case DETECT_MORE:
		return;
	case DETECT_FAILED:
		connection_end_with_reset(connection, context, FACTS_END_PLAIN);
		return;
	case DETECT_KNOWN:
		break;
	}
	connection->sniff.done = true;
	if (connection->facts.protocol == FACTS_HTTP) {
		/* Each request has the version of its own time. */
		configuration_unref(connection->configuration);
		connection->configuration = NULL;
		session_start(connection, context);
		return;
	}
	decide(connection, context, connection->configuration, &decision);
	act(connection, context, &decision, &none);
}

static void start_looking(struct connection *connection, struct connection_context *context)
{
	int64_t timeout = connection->configuration->mesh.detection_timeout / 1000000;

	connection_set_state(connection, context, CONNECTION_DETECTING, timeout > 0 ? context->now + timeout : INT64_MAX);
	if (connection_watch(connection, context, false, SIDE_EDGES) < 0)
		connection_end_with_reset(connection, context, FACTS_END_MEMORY);
	else
		look(connection, context, false);
}

/* An address may decide alone: where no HTTP or TLS is declared on its port, and it need not be told why it is blocked. */
static void start_by_configuration(struct connection *connection, struct connection_context *context, int *spare)
{
	unsigned owners = policy_port_owners(connection->configuration->policy, connection->facts.destination.port);
	struct policy_decision decision;

	decide(connection, context, connection->configuration, &decision);
	if (!decision.whole && ((owners & (POLICY_PORT_HTTP | POLICY_PORT_TLS)) != 0 || decision.action == POLICY_BLOCK))
		start_looking(connection, context);
	else
		act(connection, context, &decision, spare);
}

/* --- the beginning */

static void reset_fields(struct connection *connection, struct connection_context *context, int fd,
	const struct endpoint *source)
{
	connection->client = (struct side){.fd = fd, .no_delay = true};
	connection->upstream = (struct side){.fd = -1};
	connection->sniff = (struct sniff){.done = false};
	connection->facts = (struct facts){.started = context->real_now, .source = *source};
	connection->share = (struct metrics_share){.series = NULL};
	connection->configuration = configuration_ref(context->configuration);
	connection->cluster = NULL;
	connection->circuit = (struct circuit_share){.circuit = NULL};
	connection->due = 0;
	connection->lookup = NULL;
	connection->session = NULL;
	connection->began = connection->active = context->now;
	connection->deadline = INT64_MAX;
	connection->keeps_alive = connection->keeps_half = connection->silent = false;
	connection->was_asked = connection->is_unjudged = false;
	connection->verify = MESH_VERIFY_OFF;
	connection->tries = 0;
	connection->seen = 0;
}

void connection_start(struct connection *connection, struct connection_context *context, int fd, int *upstream,
	const struct endpoint *source)
{
	reset_fields(connection, context, fd, source);
	if (destination_original(fd, source, &connection->facts.destination) < 0) {
		connection_end_with_reset(connection, context, FACTS_END_PLAIN);
	} else if (connection->facts.destination.port == context->port) {
		connection_end(connection, context, FACTS_END_DIRECT);
	} else if (destination_is_own(source, &connection->facts.destination)) {
		connection_end_with_reset(connection, context, FACTS_END_LOOP);
	} else if (connection->configuration != NULL) {
		start_by_configuration(connection, context, upstream);
	} else {
		connection->facts.upstream = connection->facts.destination;
		connection->facts.cluster = FACTS_PASSTHROUGH;
		dial(connection, context, upstream);
	}
}

/* --- events */

static void connected(struct connection *connection, struct connection_context *context, uint32_t events)
{
	int code = upstream_result(connection, events);

	if (code != 0)
		connect_failed(connection, context, FACTS_END_CONNECT_FAILED, code);
	else
		relay_start(connection, context);
	if (connection->state == CONNECTION_RELAYING)
		relay_event(connection, context, true, events);
}

void connection_event(struct connection *connection, struct connection_context *context, bool upstream, uint32_t events)
{
	side_take_events(upstream ? &connection->upstream : &connection->client, events);
	switch (connection->state) {
	case CONNECTION_DETECTING:
		look(connection, context, false);
		break;
	case CONNECTION_CONNECTING:
		if (upstream)
			connected(connection, context, events);
		break;
	case CONNECTION_RELAYING:
		relay_event(connection, context, upstream, events);
		break;
	case CONNECTION_HTTP:
		session_event(connection, context, upstream, events);
		break;
	case CONNECTION_FREE:
	case CONNECTION_RESOLVING:
	case CONNECTION_ENDED:
		break;
	}
}

void connection_resolved(struct connection *connection, struct connection_context *context)
{
	int none = -1;

	upstream_forget_lookup(connection, context);
	if (connection->state == CONNECTION_HTTP) {
		session_judge(connection, context);
		session_resolved(connection, context);
		return;
	}
	connection_judge(connection, context);
	if (connection->state == CONNECTION_RESOLVING && connection_verify(connection, context))
		go_on(connection, context, &none);
}

/* What goes on as it would go on under the new configuration lets the old one go. */
static void take_up(struct connection *connection, struct configuration *configuration,
	const struct policy_decision *decision)
{
	if (decision->cluster_name == NULL || strcmp(connection->facts.cluster, decision->cluster_name) != 0)
		return;
	connection->facts.cluster = decision->cluster_name;
	connection->cluster = decision->cluster;
	configuration_unref(connection->configuration);
	connection->configuration = configuration_ref(configuration);
}

void connection_reconsider(struct connection *connection, struct connection_context *context)
{
	struct policy_decision decision;

	if (connection->state != CONNECTION_RELAYING || connection->configuration == NULL)
		return;
	decide(connection, context, context->configuration, &decision);
	if (decision.action != POLICY_BLOCK) {
		connection->deadline = INT64_MAX;
		take_up(connection, context->configuration, &decision);
	} else if (connection->deadline == INT64_MAX) {
		connection->deadline = context->now + REVOKE_GRACE;
		connection_wake(connection, context, connection->deadline);
	}
}

/* --- the end */

static void time_is_over(struct connection *connection, struct connection_context *context)
{
	switch (connection->state) {
	case CONNECTION_DETECTING:
		look(connection, context, true);
		break;
	case CONNECTION_RESOLVING:
		connection_end_with_reset(connection, context, FACTS_END_NO_ENDPOINT);
		break;
	case CONNECTION_CONNECTING:
		connect_failed(connection, context, FACTS_END_CONNECT_TIMEOUT, ETIMEDOUT);
		break;
	case CONNECTION_RELAYING:
		connection_end_with_reset(connection, context, FACTS_END_REVOKED);
		break;
	case CONNECTION_FREE:
	case CONNECTION_HTTP:
	case CONNECTION_ENDED:
		break;
	}
}

void connection_check_time(struct connection *connection, struct connection_context *context)
{
	if (connection->state == CONNECTION_FREE || connection->state == CONNECTION_ENDED)
		return;
	metrics_progress(&connection->share, &connection->facts);
	if (connection->state == CONNECTION_HTTP)
		session_check_time(connection, context);
	else if (context->now >= connection->deadline)
		time_is_over(connection, context);
	else if (connection->state == CONNECTION_RELAYING)
		relay_check_time(connection, context);
}

void connection_abort(struct connection *connection, struct connection_context *context)
{
	if (connection->state == CONNECTION_HTTP)
		session_abort(connection, context);
	else if (connection->state != CONNECTION_FREE && connection->state != CONNECTION_ENDED)
		connection_end_with_reset(connection, context, FACTS_END_DRAIN);
}

void connection_release(struct connection *connection)
{
	assert(connection->state == CONNECTION_ENDED);
	facts_free(&connection->facts);
	configuration_unref(connection->configuration);
	connection->configuration = NULL;
	connection->state = CONNECTION_FREE;
	connection->generation++;
}
