/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The head of an HTTP/1.0 or 1.1 message (RFC 9112 sections 2 to 5), read byte by byte, more strictly than llhttp does.
 * Pure.
 *
 * What is refused is what two readers could read in two ways: a bare CR, a line that continues the one before, a blank
 * before the colon or around the parts of the first line, controls, names that are no tokens. A line may end in a bare
 * LF. What is known to be harmless in one direction only is said with the functions.
 */
#ifndef WEIR_PROXY_HTTP_HEAD_H
#define WEIR_PROXY_HTTP_HEAD_H

#include "proxy/http/name.h"
#include "proxy/http/problem.h"

#include <stdint.h>

/* Headers of a message, and bytes of its head with the empty line. */
#define HTTP_HEADERS_MAX 100
#define HTTP_REQUEST_HEAD_MAX (60u << 10)
#define HTTP_RESPONSE_HEAD_MAX (256u << 10)

struct http_field {
	struct http_text name;  /* in the sender's case */
	struct http_text value; /* without the blanks around it */
	uint8_t known;          /* an enum http_name */
	bool folded;            /* the value goes over several lines, whose ends are in it */
};

struct http_head {
	uint32_t size;  /* bytes, with the empty line */
	uint16_t count; /* fields */
	uint16_t status; /* of a response */
	uint8_t minor;   /* HTTP/1.minor */
	bool regular;    /* every line ends in CRLF, and none is folded */
	bool repeated;   /* some known name is there more than once */
	struct http_text method; /* of a request */
	struct http_text target;
	uint8_t first[HTTP_NAME_COUNT]; /* the place of a known name's first field, counted from 1 */
	struct http_field fields[HTTP_HEADERS_MAX];
};

/*
 * Reads a request's head at the start of the bytes. Returns HTTP_FINE, HTTP_MORE when its end is not there, or what is
 * wrong with it.
 */
enum http_problem http_head_read_request(struct http_head *head, const char *data, size_t size);

/* Reads a response's head. A line that continues the one before is taken, as Envoy does. */
enum http_problem http_head_read_response(struct http_head *head, const char *data, size_t size);

/* The first field of a known name, or NULL. */
static inline const struct http_field *http_head_find(const struct http_head *head, enum http_name name)
{
	return head->first[name] != 0 ? &head->fields[head->first[name] - 1] : NULL;
}

/* How many fields have a name. */
unsigned http_head_count(const struct http_head *head, enum http_name name);

/* Whether a known name's lists, together, have an element, in whatever case. */
bool http_head_lists(const struct http_head *head, enum http_name name, struct http_text element);

#endif
