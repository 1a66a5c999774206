/* SPDX-License-Identifier: Apache-2.0 */
/*
 * llhttp, and the only place that knows it: it reads every head a second time, after head.h and framing.h, and decodes
 * every body. A head that it reads otherwise is refused. What it is given is the message's own bytes, or where the head
 * is unusual (ends of lines, continued lines) the same head in the usual form, so that its versions agree.
 */
#ifndef WEIR_PROXY_HTTP_CODEC_H
#define WEIR_PROXY_HTTP_CODEC_H

#include "proxy/http/chunk.h"
#include "proxy/http/framing.h"
#include "proxy/http/writer.h"

/* Pieces of payload that one step may bring: more chunks wait for the next. */
#define HTTP_CODEC_RUNS_MAX 32

/* Bytes of llhttp's parser, of whatever version; only codec.c knows what is in them. */
#define HTTP_CODEC_PARSER_SIZE 128

struct http_codec {
	unsigned char parser[HTTP_CODEC_PARSER_SIZE];
	struct http_chunk chunk;
	enum http_body body;
	uint64_t left; /* of HTTP_BODY_LENGTH */
	bool done;     /* the message has ended */
};

/* Payload, as slices of the bytes that were decoded. */
struct http_payload {
	struct http_text runs[HTTP_CODEC_RUNS_MAX];
	unsigned count;
	size_t size; /* of all of them */
};

/*
 * Begins with a message's head, at `data`, which has been read. `scratch` is for the head in its usual form, which is
 * not needed afterwards. Returns HTTP_FINE, or HTTP_BAD_SYNTAX.
 */
enum http_problem http_codec_start(struct http_codec *codec, const struct http_head *head,
	const struct http_framing *framing, const char *data, struct http_writer scratch);

/*
 * Decodes more of the body. Returns HTTP_FINE or HTTP_BAD_SYNTAX; in both cases `*ret_taken` bytes are behind it, and
 * what they brought is in the payload.
 */
enum http_problem http_codec_decode(struct http_codec *codec, const char *data, size_t size,
	struct http_payload *ret_payload, size_t *ret_taken);

/* The sender's end of input. Returns HTTP_FINE when that is the end of the message, or HTTP_BAD_SYNTAX. */
enum http_problem http_codec_end(struct http_codec *codec);

#endif
