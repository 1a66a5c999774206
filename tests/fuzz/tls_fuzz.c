/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server's bytes, in answer to a hello. The first byte says how they are cut into pieces, and how much room there is
 * for the answers; it makes no difference to what becomes of the stream. Nothing is ever taken for the application's:
 * no server gets through a handshake whose secrets it does not know.
 */
#include "tests/fuzz/fuzz.h"

#include "proxy/tls/context.h"
#include "proxy/tls/stream.h"

#include <stdbool.h>
#include <string.h>

struct outcome {
	enum tls_state state;
	char failure[TLS_STREAM_FAILURE_SIZE];
};

static struct tls_context *context;

static void make_context(void)
{
	const struct tls_settings settings = {.insecure = true, .alpn = "http/1.1"};
	struct error e;

	if (context == NULL)
		FUZZ_CHECK(tls_context_new(&settings, &context, &e) == 0);
}

/* Feeds a piece, with `space` bytes for each answer, until nothing is left of either. */
static enum tls_state feed(struct tls_stream *stream, const uint8_t *data, size_t size, size_t space)
{
	static uint8_t bytes[16384];
	static uint8_t out[1024];
	struct tls_input wire = {.data = data, .size = size};
	struct tls_output plain = {.data = bytes, .capacity = sizeof bytes};
	enum tls_state state;
	bool more;

	do {
		struct tls_output to_wire = {.data = out, .capacity = space};

		state = tls_stream_feed(stream, &wire, &plain, &to_wire);
		FUZZ_CHECK(to_wire.size <= space && plain.size == 0);
		more = to_wire.size == space;
	} while (more && state != TLS_FAILED);
	FUZZ_CHECK(wire.size == 0 || state == TLS_FAILED);
	return state;
}

static void run(const uint8_t *data, size_t size, size_t most, struct outcome *ret_outcome)
{
	size_t space = 1 + most * 7 % 1024;
	struct tls_stream *stream;

	FUZZ_CHECK(tls_stream_new(context, "server.example", &stream) == 0);
	ret_outcome->state = feed(stream, NULL, 0, space);
	FUZZ_CHECK(ret_outcome->state == TLS_HANDSHAKE);
	for (size_t done = 0; done < size && ret_outcome->state == TLS_HANDSHAKE;) {
		size_t piece = 1 + (done * 31 + most) % most;

		piece = piece < size - done ? piece : size - done;
		ret_outcome->state = feed(stream, data + done, piece, space);
		done += piece;
	}
	(void)snprintf(ret_outcome->failure, sizeof ret_outcome->failure, "%s", tls_stream_failure(stream));
	tls_stream_free(stream);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct outcome whole;
	struct outcome cut;

	if (size < 2)
		return 0;
	make_context();
	run(data + 1, size - 1, size, &whole);
	run(data + 1, size - 1, 1 + data[0], &cut);
	FUZZ_CHECK(whole.state == TLS_HANDSHAKE || whole.state == TLS_FAILED);
	FUZZ_CHECK(whole.state == cut.state && strcmp(whole.failure, cut.failure) == 0);
	return 0;
}
