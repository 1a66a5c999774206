/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A response as it is passed on to the client, and the beginning and the end that it shares with answers of the proxy's
 * own. Pure.
 */
#ifndef WEIR_PROXY_HTTP_RESPONSE_H
#define WEIR_PROXY_HTTP_RESPONSE_H

#include "proxy/http/date.h"
#include "proxy/http/framing.h"
#include "proxy/http/operations.h"

/* What a response is to the client. */
enum http_response_kind {
	HTTP_RESPONSE_FINAL,
	HTTP_RESPONSE_INTERIM,  /* 1xx: another one follows */
	HTTP_RESPONSE_SWITCH,   /* 101: bytes of another protocol follow */
	HTTP_RESPONSE_NO_SWITCH /* final, where the upgrade was refused; its body is not passed on */
};

/* What the client's connection makes of any response. */
struct http_client {
	uint8_t minor;       /* HTTP/1.minor */
	bool to_head;        /* it answers a HEAD */
	bool closes;         /* the connection ends behind it */
	const char *date;
};

struct http_response {
	enum http_response_kind kind;
	bool has_service_time;
	uint64_t service_time; /* milliseconds */
	const struct http_operations *operations; /* NULL: none */
};

/* Whether the body of a final response needs chunks: it has one, and its length is not known. */
bool http_response_is_chunked(const struct http_framing *framing, const struct http_client *client);

/* Whether the client learns of the body's end only from the connection's. */
bool http_response_ends_by_close(const struct http_framing *framing, const struct http_client *client);

/* Bytes that http_response_write() can need. */
size_t http_response_bound(const struct http_head *head, const struct http_operations *operations);

/* Writes the head that goes to the client. */
void http_response_write(struct http_writer *to, const struct http_head *head, const struct http_framing *framing,
	const struct http_response *response, const struct http_client *client);

/* Writes "HTTP/1.x status reason" and the end of the line. */
void http_response_put_start(struct http_writer *to, unsigned status, const struct http_client *client);

/* Writes the Connection header that the client needs, if any. */
void http_response_put_connection(struct http_writer *to, const struct http_client *client);

/* Writes what operations set, then what they add, but for one name. "server" is always the proxy's. */
void http_response_put_operations(struct http_writer *to, const struct http_operations *operations,
	struct http_text except);

/* Write a header of the proxy's, unless the operations have; `operations` may be NULL, as above. */
void http_response_put_date(struct http_writer *to, const struct http_operations *operations,
	const struct http_client *client);
void http_response_put_server(struct http_writer *to, const struct http_operations *operations);

#endif
