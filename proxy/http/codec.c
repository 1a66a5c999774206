/* SPDX-License-Identifier: Apache-2.0 */
/*
 * llhttp stops at the end of every message, because on_message_complete pauses it: what follows belongs to another
 * message, which is another parser's. It is never resumed.
 */
#include "proxy/http/codec.h"

#include <assert.h>
#include <llhttp.h>

static_assert(sizeof(llhttp_t) <= HTTP_CODEC_PARSER_SIZE, "a parser has room");

static int pause_at_end(llhttp_t *parser)
{
	(void)parser;
	return HPE_PAUSED;
}

/* Of some responses only framing.h knows that they have no body, whatever their heads say. */
static int skip_body(llhttp_t *parser)
{
	(void)parser;
	return 1;
}

static int add_run(llhttp_t *parser, const char *at, size_t length)
{
	struct http_payload *payload = parser->data;

	if (payload == NULL || payload->count == HTTP_CODEC_RUNS_MAX)
		return -1;
	payload->runs[payload->count++] = (struct http_text){at, length};
	payload->size += length;
	return 0;
}

static const llhttp_settings_t settings = {.on_body = add_run, .on_message_complete = pause_at_end};
static const llhttp_settings_t settings_bodiless = {
	.on_body = add_run, .on_message_complete = pause_at_end, .on_headers_complete = skip_body};

/* Whether llhttp need look at the target: of absolute ones its versions know other forms than target.h does. */
static bool is_usual(const struct http_head *head)
{
	return head->method.data == NULL || head->target.data[0] == '/' ||
	       http_text_equal(head->method, HTTP_TEXT("CONNECT"));
}

/* Writes a head as every reader expects it. */
static void write_usual(struct http_writer *to, const struct http_head *head)
{
	if (head->method.data != NULL) {
		http_writer_put(to, head->method);
		http_writer_put_byte(to, ' ');
		http_writer_put(to, is_usual(head) ? head->target : HTTP_TEXT("/"));
		http_writer_put(to, head->minor == 0 ? HTTP_TEXT(" HTTP/1.0\r\n") : HTTP_TEXT(" HTTP/1.1\r\n"));
	} else {
		http_writer_put(to, head->minor == 0 ? HTTP_TEXT("HTTP/1.0 ") : HTTP_TEXT("HTTP/1.1 "));
		http_writer_put_number(to, head->status);
		http_writer_put(to, HTTP_TEXT(" \r\n"));
	}
	for (unsigned i = 0; i < head->count; i++) {
		http_writer_put(to, head->fields[i].name);
		http_writer_put(to, HTTP_TEXT(": "));
		http_writer_put_value(to, &head->fields[i]);
		http_writer_put(to, HTTP_TEXT("\r\n"));
	}
	http_writer_put(to, HTTP_TEXT("\r\n"));
}

/* Whether llhttp has read the whole head, and has found in it what framing.h has. */
static bool agrees(const struct http_codec *codec, const llhttp_t *parser, llhttp_errno_t code, const char *end)
{
	if (codec->done)
		return (code == HPE_PAUSED || code == HPE_PAUSED_UPGRADE) && llhttp_get_error_pos(parser) == end;
	if (code != HPE_OK)
		return false;
	switch (codec->body) {
	case HTTP_BODY_LENGTH:
		return parser->content_length == codec->left && (parser->flags & F_CHUNKED) == 0;
	case HTTP_BODY_CHUNKED:
		return (parser->flags & F_CHUNKED) != 0 && (parser->flags & F_CONTENT_LENGTH) == 0;
	default:
		return (parser->flags & (F_CHUNKED | F_CONTENT_LENGTH)) == 0;
	}
}

enum http_problem http_codec_start(struct http_codec *codec, const struct http_head *head,
	const struct http_framing *framing, const char *data, struct http_writer scratch)
{
	bool is_request = head->method.data != NULL;
	size_t size = head->size;
	llhttp_errno_t code;
	llhttp_t parser;

	llhttp_init(&parser, is_request ? HTTP_REQUEST : HTTP_RESPONSE,
		!is_request && framing->body == HTTP_BODY_NONE ? &settings_bodiless : &settings);
	codec->chunk = HTTP_CHUNK_START;
	codec->body = framing->body;
	codec->left = framing->body == HTTP_BODY_LENGTH ? framing->length : 0;
	codec->done = framing->body == HTTP_BODY_NONE;
	if (!head->regular || !is_usual(head)) {
		write_usual(&scratch, head);
		if (scratch.failed)
			return HTTP_BAD_SYNTAX;
		data = scratch.data;
		size = scratch.size;
	}
	code = llhttp_execute(&parser, data, size);
	if (!agrees(codec, &parser, code, data + size))
		return HTTP_BAD_SYNTAX;
	memcpy(codec->parser, &parser, sizeof parser);
	return HTTP_FINE;
}

/* Gives llhttp bytes that are all right. Returns whether it thinks so, too, and sees the end where it is. */
static bool execute(struct http_codec *codec, const char *data, size_t size, struct http_payload *payload)
{
	llhttp_errno_t code;
	llhttp_t parser;

	if (size == 0)
		return true;
	memcpy(&parser, codec->parser, sizeof parser);
	parser.data = payload;
	code = llhttp_execute(&parser, data, size);
	memcpy(codec->parser, &parser, sizeof parser);
	if (!codec->done)
		return code == HPE_OK;
	return (code == HPE_PAUSED || code == HPE_PAUSED_UPGRADE) && llhttp_get_error_pos(&parser) == data + size;
}

/* Chunks, and what is between them. */
static enum http_problem decode_chunks(struct http_codec *codec, const char *data, size_t size,
	struct http_payload *payload, size_t *taken)
{
	unsigned runs = HTTP_CODEC_RUNS_MAX;

	for (;;) {
		bool hidden;
		size_t good;
		enum http_problem problem = http_chunk_check(&codec->chunk, data + *taken, size - *taken, &runs, &good, &hidden);

		codec->done = http_chunk_is_done(&codec->chunk);
		if (!hidden && !execute(codec, data + *taken, good, payload))
			return HTTP_BAD_SYNTAX;
		*taken += good;
		if (problem != HTTP_FINE || good == 0 || codec->done)
			return problem;
	}
}

enum http_problem http_codec_decode(struct http_codec *codec, const char *data, size_t size,
	struct http_payload *ret_payload, size_t *ret_taken)
{
	ret_payload->count = 0;
	ret_payload->size = 0;
	*ret_taken = 0;
	if (codec->done)
		return HTTP_FINE;
	if (codec->body == HTTP_BODY_CHUNKED)
		return decode_chunks(codec, data, size, ret_payload, ret_taken);
	*ret_taken = size;
	if (codec->body == HTTP_BODY_LENGTH) {
		*ret_taken = size < codec->left ? size : (size_t)codec->left;
		codec->left -= *ret_taken;
		codec->done = codec->left == 0;
	}
	return execute(codec, data, *ret_taken, ret_payload) ? HTTP_FINE : HTTP_BAD_SYNTAX;
}

enum http_problem http_codec_end(struct http_codec *codec)
{
	if (codec->done)
		return HTTP_FINE;
	codec->done = codec->body == HTTP_BODY_UNTIL_CLOSE;
	return codec->done ? HTTP_FINE : HTTP_BAD_SYNTAX;
}
