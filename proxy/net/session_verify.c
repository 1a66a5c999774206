/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An entry without resolution leaves it to the application where it dials, under whatever Host. Here a request's host is
 * held against what its name resolves to.
 */
#include "proxy/net/session.h"

#include "proxy/net/upstream.h"
#include "proxy/policy/name.h"

/* The host that the origin is told, as the resolver wants it. */
static bool find_host(const struct session *session, char out[NAME_LENGTH_MAX + 1])
{
	const struct http_outcome *outcome = http_exchange_outcome(&session->exchange);
	struct http_text authority = outcome != NULL ? outcome->names.authority : (struct http_text){NULL, 0};
	int length = authority.data != NULL
			     ? name_canonical(out, authority.data, name_of_authority(authority.data, authority.size))
			     : -1;

	if (length < 0)
		return false;
	out[length] = '\0';
	return true;
}

void session_judge(struct connection *connection, const struct connection_context *context)
{
	struct session *session = connection->session;
	char host[NAME_LENGTH_MAX + 1];
	bool unknown = true;
	bool has;

	if (session->request == NULL || !session->request->is_unjudged)
		return;
	has = find_host(session, host) && upstream_is_of(connection, context, host, &unknown);
	session->request->is_unjudged = unknown;
	connection->facts.is_mismatch = !has && !unknown;
}

bool session_verify(struct connection *connection, struct connection_context *context, enum http_event *ret_event)
{
	struct session *session = connection->session;
	struct session_request *request = session->request;
	bool enforced = request->decision.verify == MESH_VERIFY_ENFORCE;
	char host[NAME_LENGTH_MAX + 1];
	bool unknown = false;
	bool has;

	*ret_event = HTTP_EVENT_NONE;
	if (request->decision.verify == MESH_VERIFY_OFF)
		return true;
	has = find_host(session, host) && upstream_is_of(connection, context, host, &unknown);
	if (unknown && !request->was_asked) {
		request->was_asked = true;
		upstream_lookup(connection, context, host);
		/* Where it is only told, nobody waits. */
		request->is_waiting = enforced && connection->lookup != NULL;
		if (request->is_waiting)
			return false;
	}
	connection->facts.is_mismatch = !has && (enforced || !unknown);
	request->is_unjudged = unknown && !enforced;
	if (has || !enforced)
		return true;
	*ret_event = http_exchange_fail(&session->exchange, context->io, HTTP_FAILURE_NO_UPSTREAM, NULL, false);
	return false;
}
