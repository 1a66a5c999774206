/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks the bytes of a chunked body (RFC 9112 section 7.1) before llhttp decodes them, since its versions differ in what
 * they let through: a size is hexadecimal digits and nothing else, an extension is of tokens, every line and every chunk
 * ends in CRLF, and trailers are well-formed headers. What nobody passes on, extensions and trailers, ends here. Pure.
 */
#ifndef WEIR_PROXY_HTTP_CHUNK_H
#define WEIR_PROXY_HTTP_CHUNK_H

#include "proxy/http/problem.h"

#include <stddef.h>

/* Bytes of a line with a size and its extensions; digits of a size; bytes of all trailers. */
#define HTTP_CHUNK_LINE_MAX 1024
#define HTTP_CHUNK_DIGITS_MAX 15
#define HTTP_TRAILERS_MAX (60u << 10)

struct http_chunk {
	uint8_t state;
	uint8_t digits;
	uint32_t line;     /* bytes of the line, or of the trailers */
	uint64_t size;     /* of this chunk, then what is left of it */
};

#define HTTP_CHUNK_START ((struct http_chunk){.state = 0})

/*
 * Goes on with the next bytes: up to the end of the body, to where the payload of `*runs` chunks has been gone through
 * (which it counts down), to where an extension or a trailer begins or ends, or to what is wrong. Returns HTTP_FINE, or
 * HTTP_BAD_SYNTAX; `*ret_good` bytes are all right, and `*ret_hidden` says whether they are such an extension or trailer.
 */
enum http_problem http_chunk_check(struct http_chunk *chunk, const char *data, size_t size, unsigned *runs,
	size_t *ret_good, bool *ret_hidden);

/* Whether the body has ended. */
bool http_chunk_is_done(const struct http_chunk *chunk);

#endif
