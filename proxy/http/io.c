/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http/io.h"

#include <assert.h>

/* What one call can add: payload with its chunk's lines, and two heads with a body. */
#define CALL_PIECES (HTTP_CODEC_RUNS_MAX + 8)
#define CALL_BYTES (HTTP_RESPONSE_HEAD_MAX + (128u << 10))
static_assert(CALL_PIECES * 2 <= HTTP_PIECES_MAX && CALL_BYTES < HTTP_MEMORY_SIZE, "a few calls fit");

void http_io_init(struct http_io *io)
{
	io->draining = false;
	io->codec.done = true;
	http_io_reset(io);
}

void http_io_reset(struct http_io *io)
{
	io->to_client.count = io->to_upstream.count = 0;
	io->to_client.size = io->to_upstream.size = 0;
	io->memory = (struct http_writer){.data = io->bytes, .capacity = sizeof io->bytes};
}

bool http_io_has_room(const struct http_io *io)
{
	return io->to_client.count + CALL_PIECES <= HTTP_PIECES_MAX &&
	       io->to_upstream.count + CALL_PIECES <= HTTP_PIECES_MAX && io->memory.size + CALL_BYTES <= io->memory.capacity;
}

void http_pieces_add(struct http_pieces *pieces, const void *data, size_t size)
{
	struct iovec *last = pieces->count > 0 ? &pieces->items[pieces->count - 1] : NULL;

	if (size == 0)
		return;
	pieces->size += size;
	if (last != NULL && (const char *)last->iov_base + last->iov_len == data) {
		last->iov_len += size;
		return;
	}
	assert(pieces->count < HTTP_PIECES_MAX);
	last = &pieces->items[pieces->count++];
	/* struct iovec has no const; what is written from is never written to. */
	memcpy(&last->iov_base, &data, sizeof data);
	last->iov_len = size;
}

void http_pieces_add_written(struct http_pieces *pieces, const struct http_writer *memory, size_t start)
{
	http_pieces_add(pieces, memory->data + start, memory->size - start);
}

static void put_chunk_size(struct http_writer *to, size_t size)
{
	static const char digits[] = "0123456789abcdef";
	unsigned shift = 0;

	while (size >> shift > 15)
		shift += 4;
	for (;; shift -= 4) {
		http_writer_put_byte(to, digits[size >> shift & 15]);
		if (shift == 0)
			break;
	}
	http_writer_put(to, HTTP_TEXT("\r\n"));
}

void http_pieces_add_payload(struct http_pieces *pieces, struct http_io *io, const struct http_text *runs, unsigned count,
	bool chunked, bool last)
{
	static const char line_end[] = "\r\n";
	static const char end[] = "0\r\n\r\n";
	size_t start = io->memory.size;
	size_t size = 0;

	for (unsigned i = 0; i < count; i++)
		size += runs[i].size;
	if (chunked && size > 0) {
		put_chunk_size(&io->memory, size);
		http_pieces_add_written(pieces, &io->memory, start);
	}
	for (unsigned i = 0; i < count; i++)
		http_pieces_add(pieces, runs[i].data, runs[i].size);
	if (chunked && size > 0)
		http_pieces_add(pieces, line_end, sizeof line_end - 1);
	if (chunked && last)
		http_pieces_add(pieces, end, sizeof end - 1);
}
