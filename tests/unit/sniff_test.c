/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names from first bytes: however the bytes are cut into segments, and a hello into records, the facts are the same.
 */
#include "proxy/net/sniff.h"
#include "proxy/net/sniff_http.h"
#include "proxy/net/sniff_tls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Room for a hello in one-byte records. */
#define WIRE_SIZE 262144

struct bytes {
	uint8_t data[WIRE_SIZE];
	size_t size;
};

static void put(struct bytes *bytes, const void *data, size_t size)
{
	assert_true(bytes->size + size <= sizeof bytes->data);
	memcpy(bytes->data + bytes->size, data, size);
	bytes->size += size;
}

static void put_number(struct bytes *bytes, size_t number, size_t size)
{
	for (size_t i = size; i > 0; i--) {
		uint8_t byte = (uint8_t)(number >> (8 * (i - 1)));

		put(bytes, &byte, 1);
	}
}

/* A hello's handshake message: GREASE ahead, `padding` bytes of an extension of this type, then the name, if any. */
static void make_hello_with(struct bytes *hello, const char *name, size_t type, size_t padding)
{
	static const uint8_t zeros[65536];
	size_t name_length = name != NULL ? strlen(name) : 0;
	size_t extensions = 4 + 4 + padding + (name != NULL ? 9 + name_length : 0);

	hello->size = 0;
	put_number(hello, 1, 1);
	put_number(hello, 2 + 32 + 1 + 32 + 2 + 4 + 2 + 2 + extensions, 3);
	put_number(hello, 0x0303, 2);
	put(hello, zeros, 32);
	put_number(hello, 32, 1);
	put(hello, zeros, 32);
	put_number(hello, 4, 2);
	put_number(hello, 0x0a0a1301, 4);
	put_number(hello, 1, 1);
	put_number(hello, 0, 1);
	put_number(hello, extensions, 2);
	put_number(hello, 0x2a2a0000, 4);
	put_number(hello, type, 2);
	put_number(hello, padding, 2);
	put(hello, zeros, padding);
	if (name == NULL)
		return;
	put_number(hello, 0, 2);
	put_number(hello, 5 + name_length, 2);
	put_number(hello, 3 + name_length, 2);
	put_number(hello, 0, 1);
	put_number(hello, name_length, 2);
	put(hello, name, name_length);
}

static void make_hello(struct bytes *hello, const char *name, size_t padding)
{
	make_hello_with(hello, name, 21, padding);
}

/* Cuts a handshake message into records of `size` bytes. */
static void make_records(struct bytes *wire, const struct bytes *hello, size_t size)
{
	wire->size = 0;
	for (size_t i = 0; i < hello->size; i += size) {
		size_t piece = hello->size - i < size ? hello->size - i : size;

		put_number(wire, 22, 1);
		put_number(wire, 0x0301, 2);
		put_number(wire, piece, 2);
		put(wire, hello->data + i, piece);
	}
}

static struct bytes hello;
static struct bytes wire;

/* Feeds bytes in segments of a size, each at the end of memory of its own, so that reading past it is seen. */
static void feed(struct facts *facts, const uint8_t *data, size_t size, size_t segment)
{
	struct sniff sniff = {.done = false};

	*facts = (struct facts){.protocol = FACTS_OPAQUE};
	for (size_t i = 0; i < size && !sniff.done; i += segment) {
		size_t piece = size - i < segment ? size - i : segment;
		uint8_t *copy = malloc(piece);

		assert_non_null(copy);
		memcpy(copy, data + i, piece);
		sniff_feed(&sniff, copy, piece, facts);
		free(copy);
	}
	sniff_end(&sniff, facts);
}

static void expect_name(const char *name, size_t padding, size_t record, size_t segment, const char *expected)
{
	struct facts facts;

	make_hello(&hello, name, padding);
	make_records(&wire, &hello, record);
	feed(&facts, wire.data, wire.size, segment);
	assert_int_equal(facts.protocol, FACTS_TLS);
	if (expected == NULL)
		assert_null(facts.names);
	else
		assert_string_equal(facts.names->server_name, expected);
	facts_free(&facts);
}

static void server_names_in_any_cut(void **state)
{
	static const size_t records[] = {1, 2, 7, 50, 300, 16384};
	static const size_t segments[] = {1, 3, 5, 100, 1448, WIRE_SIZE};

	(void)state;
	for (size_t r = 0; r < sizeof records / sizeof *records; r++) {
		for (size_t s = 0; s < sizeof segments / sizeof *segments; s++) {
			expect_name("Www.Example.COM", 0, records[r], segments[s], "www.example.com");
			expect_name("a", 1800, records[r] > 2 ? records[r] : 300, segments[s] > 1 ? segments[s] : 64, "a");
			expect_name(NULL, 10, records[r], segments[s], NULL);
		}
	}
	/* As large as post-quantum key shares make it, and larger than one record. */
	expect_name("pq.example", 20000, 16384, 1448, "pq.example");
}

static void server_names_are_sanitised(void **state)
{
	(void)state;
	expect_name("a_b.example", 0, 16384, WIRE_SIZE, "invalid:a_b.example");
	expect_name("a b\n\"\xc3\xa9", 0, 16384, WIRE_SIZE, "invalid:a_b____");
	expect_name("trailing.dot.", 0, 16384, WIRE_SIZE, "trailing.dot.");
	expect_name("192.0.2.1", 0, 16384, WIRE_SIZE, "192.0.2.1");
}

static void encrypted_hellos_are_noticed(void **state)
{
	static const char *const names[] = {"cover.example", NULL};
	static const size_t segments[] = {1, 100, WIRE_SIZE};
	struct facts facts;

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		for (size_t s = 0; s < sizeof segments / sizeof *segments; s++) {
			make_hello_with(&hello, names[i], 0xfe0d, 200);
			make_records(&wire, &hello, 16384);
			feed(&facts, wire.data, wire.size, segments[s]);
			assert_int_equal(facts.protocol, FACTS_TLS);
			assert_true(facts.has_ech);
			assert_int_equal(facts.names != NULL, names[i] != NULL);
			facts_free(&facts);
		}
	}
	expect_name("plain.example", 0, 16384, WIRE_SIZE, "plain.example");
	feed(&facts, wire.data, wire.size, WIRE_SIZE);
	assert_false(facts.has_ech);
	facts_free(&facts);
}

/* What is there of a message whose end never comes names the connection all the same. */
static void names_without_an_end(void **state)
{
	static const char head[] = "GET /here HTTP/1.1\r\nAccept: x";
	struct facts facts;

	(void)state;
	make_hello(&hello, "early.example", 0);
	hello.size += 4; /* a length that lies */
	hello.data[3] = (uint8_t)(hello.data[3] + 4);
	make_records(&wire, &hello, 16384);
	feed(&facts, wire.data, wire.size - 4, WIRE_SIZE);
	assert_int_equal(facts.protocol, FACTS_TLS);
	assert_string_equal(facts.names->server_name, "early.example");
	facts_free(&facts);
	feed(&facts, (const uint8_t *)head, sizeof head - 1, 5);
	assert_int_equal(facts.protocol, FACTS_HTTP);
	assert_string_equal(facts.names->path, "/here");
	assert_null(facts.names->host);
	facts_free(&facts);
}

/* The preface in any cut; and what only begins like it is something else. */
static void http2_by_its_preface(void **state)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x12\4";
	struct facts facts;

	(void)state;
	for (size_t segment = 1; segment < sizeof preface; segment++) {
		feed(&facts, (const uint8_t *)preface, sizeof preface - 1, segment);
		assert_int_equal(facts.protocol, FACTS_HTTP2);
		assert_null(facts.names);
	}
	feed(&facts, (const uint8_t *)preface, 23, 23);
	assert_int_equal(facts.protocol, FACTS_OPAQUE);
}

/* Every hello that is cut short asks for more; every one with a byte changed is read or refused, and never more. */
static void broken_hellos_are_bounded(void **state)
{
	struct sniff_tls out;

	(void)state;
	make_hello(&hello, "site.example", 20);
	make_records(&wire, &hello, 60);
	for (size_t size = 0; size < wire.size; size++) {
		uint8_t *copy = malloc(size + 1);

		assert_non_null(copy);
		memcpy(copy, wire.data, size);
		assert_int_equal(sniff_tls(copy, size, &out), SNIFF_MORE);
		assert_true(out.missing > 0 && out.missing <= wire.size - size);
		free(copy);
	}
	for (size_t i = 0; i < wire.size; i++) {
		for (unsigned change = 1; change < 256; change += 17) {
			struct facts facts;

			wire.data[i] ^= (uint8_t)change;
			feed(&facts, wire.data, wire.size, WIRE_SIZE);
			facts_free(&facts);
			wire.data[i] ^= (uint8_t)change;
		}
	}
}

static void what_is_no_hello_is_not(void **state)
{
	static const uint8_t too_long[] = {22, 3, 1, 0x40, 0, 1, 1, 0, 1};
	static const uint8_t empty_record[] = {22, 3, 1, 0, 0};
	static const uint8_t alert[] = {21, 3, 1, 0, 2, 2, 40};
	static const uint8_t server_hello[] = {22, 3, 3, 0, 4, 2, 0, 0, 0};
	static const uint8_t big_record[] = {22, 3, 1, 0x60, 0};
	struct sniff_tls out;

	(void)state;
	assert_int_equal(sniff_tls(too_long, sizeof too_long, &out), SNIFF_NOT);
	assert_int_equal(sniff_tls(empty_record, sizeof empty_record, &out), SNIFF_NOT);
	assert_int_equal(sniff_tls(alert, sizeof alert, &out), SNIFF_NOT);
	assert_int_equal(sniff_tls(server_hello, sizeof server_hello, &out), SNIFF_NOT);
	assert_int_equal(sniff_tls(big_record, sizeof big_record, &out), SNIFF_NOT);
	assert_int_equal(sniff_tls((const uint8_t *)"SSH-2.0-x", 9, &out), SNIFF_NOT);
}

static void requests_in_any_cut(void **state)
{
	static const struct {
		const char *text;
		const char *method; /* NULL: not HTTP */
		const char *path;
		const char *version;
		const char *host;
	} rows[] = {
		{"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", "GET", "/", "HTTP/1.1", "a.example"},
		{"POST /p?q=1%20 HTTP/1.0\r\nX: y\r\nHOST:\t b:80 \t\r\nHost: c\r\n\r\nbody", "POST", "/p?q=1%20", "HTTP/1.0",
			"b:80"},
		{"GET http://h/x HTTP/1.1\nhost: h\n\n", "GET", "http://h/x", "HTTP/1.1", "h"},
		{"M-SEARCH * HTTP/1.1\r\n\r\nHost: late\r\n", "M-SEARCH", "*", "HTTP/1.1", NULL},
		{"GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET", "/", "HTTP/1.1", ""},
		{"GET /\r\n\r\n", NULL, NULL, NULL, NULL},
		{"GET  HTTP/1.1\r\n\r\n", NULL, NULL, NULL, NULL},
		{"GET / HTTP/2.0\r\n\r\n", NULL, NULL, NULL, NULL},
		{"PRI * HTTP/2.0\r\n\r\nSX\r\n\r\n", NULL, NULL, NULL, NULL},
		{"SSH-2.0-OpenSSH_9.2\r\n", NULL, NULL, NULL, NULL},
		{"\r\nGET / HTTP/1.1\r\n\r\n", NULL, NULL, NULL, NULL},
		{" GET / HTTP/1.1\r\n\r\n", NULL, NULL, NULL, NULL},
		{"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJ / HTTP/1.1\r\n\r\n", NULL, NULL, NULL, NULL},
		{"\x01\x02\x03", NULL, NULL, NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		for (size_t segment = 1; segment <= strlen(rows[i].text); segment++) {
			struct facts facts;

			feed(&facts, (const uint8_t *)rows[i].text, strlen(rows[i].text), segment);
			assert_int_equal(facts.protocol, rows[i].method != NULL ? FACTS_HTTP : FACTS_OPAQUE);
			if (rows[i].method == NULL)
				continue;
			assert_string_equal(facts.names->method, rows[i].method);
			assert_string_equal(facts.names->path, rows[i].path);
			assert_string_equal(facts.names->version, rows[i].version);
			if (rows[i].host == NULL)
				assert_null(facts.names->host);
			else
				assert_string_equal(facts.names->host, rows[i].host);
			facts_free(&facts);
		}
	}
}

/* A head that never ends is named by its first line, and costs a bounded memory. */
static void endless_heads_are_bounded(void **state)
{
	static uint8_t head[SNIFF_SIZE_MAX * 2];
	static const char start[] = "GET /long HTTP/1.1\r\nX: ";
	struct facts facts;

	(void)state;
	memset(head, 'a', sizeof head);
	memcpy(head, start, sizeof start - 1);
	feed(&facts, head, sizeof head, 4096);
	assert_int_equal(facts.protocol, FACTS_HTTP);
	assert_string_equal(facts.names->path, "/long");
	assert_null(facts.names->host);
	facts_free(&facts);

	memset(head, 'a', sizeof head);
	memcpy(head, "GET /", 5);
	feed(&facts, head, sizeof head, 4096);
	assert_int_equal(facts.protocol, FACTS_OPAQUE);
	facts_free(&facts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(server_names_in_any_cut),
		cmocka_unit_test(server_names_are_sanitised),
		cmocka_unit_test(encrypted_hellos_are_noticed),
		cmocka_unit_test(names_without_an_end),
		cmocka_unit_test(http2_by_its_preface),
		cmocka_unit_test(broken_hellos_are_bounded),
		cmocka_unit_test(what_is_no_hello_is_not),
		cmocka_unit_test(requests_in_any_cut),
		cmocka_unit_test(endless_heads_are_bounded),
	};

	return cmocka_run_group_tests_name("sniff", tests, NULL, NULL);
}
