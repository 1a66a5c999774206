/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An entry without resolution leaves it to the application where it dials, under whatever name. Here a connection's
 * name is held against the address; a request's, in session_verify.c.
 */
#include "proxy/dns/resolver.h"
#include "proxy/net/connection.h"
#include "proxy/net/upstream.h"

const char *connection_name(const struct connection *connection)
{
	const struct facts *facts = &connection->facts;

	if (facts->names == NULL)
		return NULL;
	return facts->protocol == FACTS_TLS ? facts->names->server_name : facts->names->host;
}

void connection_judge(struct connection *connection, const struct connection_context *context)
{
	bool unknown;
	bool has;

	if (!connection->is_unjudged)
		return;
	has = upstream_is_of(connection, context, connection_name(connection), &unknown);
	connection->is_unjudged = unknown;
	connection->facts.is_mismatch = !has && !unknown;
}

bool connection_verify(struct connection *connection, struct connection_context *context)
{
	const char *name = connection_name(connection);
	bool unknown;
	bool has;

	if (connection->verify == MESH_VERIFY_OFF || name == NULL)
		return true;
	has = upstream_is_of(connection, context, name, &unknown);
	if (unknown && !connection->was_asked) {
		connection->was_asked = true;
		upstream_lookup(connection, context, name);
		if (connection->verify == MESH_VERIFY_ENFORCE && connection->lookup != NULL) {
			connection_set_state(connection, context, CONNECTION_RESOLVING,
				context->now + RESOLVER_WAIT_TIME + 1000);
			return false;
		}
	}
	if (connection->verify == MESH_VERIFY_ENFORCE && !has) {
		connection_end_with_reset(connection, context, FACTS_END_MISMATCH);
		return false;
	}
	connection->facts.is_mismatch = !has && !unknown;
	connection->is_unjudged = unknown;
	return true;
}
