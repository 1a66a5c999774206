/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS that the proxy begins, where a DestinationRule says so. The stream has no socket: what it has to say goes out as any
 * bytes do, and what comes in is fed to it. The handshake is a part of connecting, and of its time.
 */
#include "proxy/net/session.h"

#include "redirect/base/fnv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Bytes of a host's name with its NUL. */
#define NAME_SIZE 256

bool session_wants_tls(const struct session *session)
{
	const struct policy_cluster *cluster = session->request->decision.cluster;

	return cluster != NULL && cluster->traffic.tls != NULL;
}

static enum http_event fail(struct connection *connection, struct connection_context *context, const char *why)
{
	struct session *session = connection->session;

	(void)snprintf(session->request->reason, sizeof session->request->reason, "%s", why);
	return session_take_failure(connection, context, HTTP_FAILURE_CONNECT, -1);
}

static int write_wire(struct connection *connection, struct connection_context *context, const struct tls_output *wire)
{
	struct side *side = &connection->upstream;
	struct iovec piece = {.iov_base = wire->data, .iov_len = wire->size};
	int rc = wire->size > 0 ? side_write_pieces(side, &piece, 1) : 0;

	if (rc == 0 && side->pending_size > 0 && (side->watched & EPOLLOUT) == 0)
		rc = connection_watch(connection, context, true, SIDE_EDGES | EPOLLOUT);
	return rc;
}

/* The name that is asked for, and that the certificate must have: the cluster's host, or, of a wildcard, the request's. */
static void find_name(const struct session *session, char out[NAME_SIZE])
{
	const char *host = session->request->decision.cluster->host;
	const struct http_outcome *outcome = http_exchange_outcome(&session->exchange);

	if (*host != '*' || outcome == NULL)
		(void)snprintf(out, NAME_SIZE, "%s", host);
	else
		(void)snprintf(out, NAME_SIZE, "%.*s", (int)outcome->names.authority.size, outcome->names.authority.data);
	out[strcspn(out, ":")] = '\0';
}

/* With the NUL, so that texts do not run into each other; one that is not there is no empty one. */
static uint64_t mix(uint64_t hash, const char *text)
{
	return text != NULL ? fnv_add(hash, text, strlen(text) + 1) : fnv_add(hash, "\1", 1);
}

uint64_t session_tls_identity(const struct session *session)
{
	const struct destination_tls *tls;
	uint64_t hash = FNV_START;
	char name[NAME_SIZE];

	if (!session_wants_tls(session))
		return 0;
	tls = session->request->decision.cluster->traffic.tls;
	find_name(session, name);
	hash = mix(mix(mix(hash, name), tls->sni), tls->ca_certificates);
	for (size_t i = 0; i < tls->subject_alt_names.count; i++)
		hash = mix(hash, tls->subject_alt_names.items[i]);
	hash = mix(hash, tls->insecure_skip_verify ? "insecure" : NULL);
	return mix(hash, tls->is_unusable ? "unusable" : NULL);
}

enum http_event session_start_tls(struct connection *connection, struct connection_context *context)
{
	struct session *session = connection->session;
	const struct session_request *request = session->request;
	struct tls_context *tls = configuration_find_tls(request->configuration, request->decision.cluster->traffic.tls);
	char name[NAME_SIZE];
	size_t none;
	enum http_event event = HTTP_EVENT_NONE;

	if (tls == NULL)
		return fail(connection, context, "TLS_error:_its_settings_cannot_be_used");
	find_name(session, name);
	if (tls_stream_new(tls, name, &session->link.tls) < 0)
		return HTTP_EVENT_NO_MEMORY;
	session_read_tls(connection, context, NULL, 0, &none, &event);
	return event;
}

void session_read_tls(struct connection *connection, struct connection_context *context, const uint8_t *data, size_t size,
	size_t *ret_size, enum http_event *ret_event)
{
	struct session *session = connection->session;
	struct tls_input input = {.data = data, .size = size};
	struct tls_output plain = {.data = context->plain, .capacity = context->tls_size};
	struct tls_output wire = {.data = context->wire, .capacity = context->tls_size};
	enum tls_state state = tls_stream_feed(session->link.tls, &input, &plain, &wire);
	int rc = write_wire(connection, context, &wire);

	*ret_size = plain.size;
	if (state == TLS_FAILED && session->is_connecting)
		*ret_event = fail(connection, context, tls_stream_failure(session->link.tls));
	else if (rc < 0)
		connection->upstream.readable = true;
	else if (session->is_connecting && state != TLS_HANDSHAKE)
		*ret_event = session_use(connection, context, false);
	/* What was said before comes first, in either case. */
	if (state == TLS_ENDED || state == TLS_FAILED)
		connection->upstream.read_ended = true;
}

int session_write_tls(struct connection *connection, struct connection_context *context, const struct http_pieces *pieces)
{
	struct session *session = connection->session;
	int rc = 0;

	for (unsigned i = 0; i < pieces->count && rc == 0; i++) {
		struct tls_input plain = {.data = pieces->items[i].iov_base, .size = pieces->items[i].iov_len};

		while (plain.size > 0 && rc == 0) {
			struct tls_output wire = {.data = context->wire, .capacity = context->tls_size};
			size_t before = plain.size;

			if (tls_stream_write(session->link.tls, &plain, &wire) == TLS_FAILED || plain.size == before)
				return -EPIPE;
			rc = write_wire(connection, context, &wire);
		}
	}
	return rc;
}
