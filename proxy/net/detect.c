/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/net/detect.h"

#include "proxy/net/sniff_http.h"
#include "proxy/net/sniff_tls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* So many bytes, and not one more than the last time: the socket may be full, and brings nothing before it is read. */
#define FULL_SIZE (48u << 10)

/*
 * A first line that says so speaks HTTP, or means to: the rest of it may be as wrong as it likes. So does one that has no
 * end yet, behind a method: it is too long, or slow.
 */
static bool is_near_http(const uint8_t *data, size_t size, enum sniff_result http)
{
	static const char version[] = "HTTP/";
	size_t blank = 0;
	const uint8_t *end;

	if (http == SNIFF_MORE)
		return memchr(data, ' ', size) != NULL;
	/* Some clients send an empty line ahead. */
	while (blank < size && (data[blank] == '\r' || data[blank] == '\n'))
		blank++;
	end = memchr(data + blank, '\n', size - blank);
	return memmem(data + blank, end != NULL ? (size_t)(end - data) - blank : size - blank, version, sizeof version - 1) !=
	       NULL;
}

static void set_server_name(struct facts *facts, const struct sniff_tls *hello)
{
	facts->protocol = FACTS_TLS;
	facts->has_ech = hello->has_ech;
	facts->names = hello->name[0] != '\0' ? calloc(1, sizeof *facts->names) : NULL;
	if (facts->names != NULL)
		facts->names->server_name = strdup(hello->name);
}

static enum detect_result tell(const uint8_t *data, size_t size, bool near_http, bool last, struct facts *facts)
{
	struct sniff_tls hello;
	struct sniff_http head = {.method = NULL};
	enum sniff_result tls = sniff_tls(data, size, &hello);
	enum sniff_result http = tls == SNIFF_NOT ? sniff_http(data, size, &head) : SNIFF_NOT;
	enum sniff_result http2 = tls == SNIFF_NOT ? sniff_http2(data, size) : SNIFF_NOT;
	bool is_http = http == SNIFF_MATCH || (http == SNIFF_MORE && head.method != NULL);
	bool is_open = tls == SNIFF_MORE || http == SNIFF_MORE || http2 == SNIFF_MORE;

	if (tls == SNIFF_MATCH || (tls == SNIFF_MORE && last && hello.name[0] != '\0'))
		set_server_name(facts, &hello);
	else if (http2 == SNIFF_MATCH)
		facts->protocol = FACTS_HTTP2;
	else if (!is_http && is_open && !last)
		return DETECT_MORE;
	else if (is_http || (near_http && tls == SNIFF_NOT && is_near_http(data, size, http)))
		facts->protocol = FACTS_HTTP;
	else
		facts->protocol = FACTS_OPAQUE;
	return DETECT_KNOWN;
}

enum detect_result detect(struct connection *connection, const struct connection_context *context, bool near_http,
	bool last)
{
	struct side *client = &connection->client;
	ssize_t n;

	do
		n = recv(client->fd, context->buffer, SNIFF_SIZE_MAX, MSG_PEEK);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EAGAIN)
		return DETECT_FAILED;
	if (n <= 0 && !last && n != 0)
		return DETECT_MORE;
	last |= n == 0 || client->ending || n == SNIFF_SIZE_MAX || (n >= (ssize_t)FULL_SIZE && n == (ssize_t)connection->seen);
	connection->seen = (uint32_t)(n > 0 ? n : 0);
	return tell(context->buffer, n > 0 ? (size_t)n : 0, near_http, last, &connection->facts);
}
