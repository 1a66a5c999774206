/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS streams against a server in memory: however the bytes are cut, and however little room there is, the same comes
 * out; and whoever is not the right server hears nothing of the application.
 */
#include "proxy/tls/context.h"
#include "proxy/tls/stream.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define BULK_SIZE (1u << 20)
#define NAME "server.example"
#define VERIFY_FAILED "TLS_error:|268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:TLS_error_end"

static char folder[] = "/tmp/weir-tls-XXXXXX";

/* --- the server, and the wire */

struct buffer {
	uint8_t data[BULK_SIZE + 65536];
	size_t size;
};

struct pair {
	SSL_CTX *server_ctx;
	SSL *server; /* with a memory BIO either way */
	struct tls_context *context;
	struct tls_stream *stream;
	unsigned seed; /* 0: nothing is cut */
	struct buffer at_client;
	struct buffer at_server;
	bool server_open;
	bool server_ended; /* the client's close_notify has arrived */
};

static const char *path_of(const char *file)
{
	static char paths[16][128];
	static unsigned next;
	char *path = paths[next++ % 16];

	(void)snprintf(path, sizeof paths[0], "%s/%s", folder, file);
	return path;
}

static SSL_CTX *make_server(const char *certificate, int version)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	char file[64];

	assert_non_null(ctx);
	assert_int_equal(SSL_CTX_set_min_proto_version(ctx, version), 1);
	assert_int_equal(SSL_CTX_set_max_proto_version(ctx, version), 1);
	(void)snprintf(file, sizeof file, "%s.pem", certificate);
	assert_int_equal(SSL_CTX_use_certificate_file(ctx, path_of(file), SSL_FILETYPE_PEM), 1);
	(void)snprintf(file, sizeof file, "%s.key", certificate);
	assert_int_equal(SSL_CTX_use_PrivateKey_file(ctx, path_of(file), SSL_FILETYPE_PEM), 1);
	(void)SSL_CTX_set_session_id_context(ctx, (const uint8_t *)"t", 1);
	return ctx;
}

static void connect_pair(struct pair *pair, const char *name)
{
	pair->server = SSL_new(pair->server_ctx);
	SSL_set_bio(pair->server, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	SSL_set_accept_state(pair->server);
	assert_int_equal(tls_stream_new(pair->context, name, &pair->stream), 0);
	pair->at_client.size = 0;
	pair->at_server.size = 0;
	pair->server_open = false;
	pair->server_ended = false;
}

static struct pair *make_pair(
	const char *certificate, int version, const struct tls_settings *settings, const char *name)
{
	struct pair *pair = calloc(1, sizeof *pair);
	struct error e;

	assert_non_null(pair);
	pair->server_ctx = make_server(certificate, version);
	assert_int_equal(tls_context_new(settings, &pair->context, &e), 0);
	connect_pair(pair, name);
	return pair;
}

static void disconnect_pair(struct pair *pair)
{
	tls_stream_free(pair->stream);
	SSL_set_shutdown(pair->server, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(pair->server);
}

static void free_pair(struct pair *pair)
{
	disconnect_pair(pair);
	tls_context_unref(pair->context);
	SSL_CTX_free(pair->server_ctx);
	free(pair);
}

static struct tls_settings ours(void)
{
	static char file[128];

	(void)snprintf(file, sizeof file, "%s/ours.pem", folder);
	return (struct tls_settings){.ca_file = file};
}

/* A random number of 1 to `most`, or `most` where nothing is cut. */
static size_t cut(struct pair *pair, size_t most)
{
	if (pair->seed == 0 || most == 0)
		return most;
	return 1 + (size_t)rand_r(&pair->seed) % (rand_r(&pair->seed) % 4 == 0 ? most : most < 40 ? most : 40);
}

static void send_to_server(struct pair *pair, const uint8_t *data, size_t size)
{
	if (size > 0)
		assert_int_equal(BIO_write(SSL_get_rbio(pair->server), data, (int)size), (int)size);
}

/* Feeds until nothing is left, with as little room as the cutting says. */
static void feed(struct pair *pair, const uint8_t *data, size_t size)
{
	struct tls_input wire = {.data = data, .size = size};
	uint8_t out[65536];
	bool more = true;

	while (more) {
		size_t space = cut(pair, sizeof pair->at_client.data - pair->at_client.size);
		struct tls_output plain = {.data = pair->at_client.data + pair->at_client.size, .capacity = space};
		struct tls_output to_wire = {.data = out, .capacity = cut(pair, sizeof out)};
		enum tls_state state = tls_stream_feed(pair->stream, &wire, &plain, &to_wire);

		pair->at_client.size += plain.size;
		send_to_server(pair, out, to_wire.size);
		more = plain.size == plain.capacity || to_wire.size == to_wire.capacity;
		assert_true(state == TLS_ENDED || state == TLS_FAILED || more || wire.size == 0);
		if ((state == TLS_ENDED || state == TLS_FAILED) && to_wire.size < to_wire.capacity)
			break;
	}
}

static bool to_client(struct pair *pair)
{
	uint8_t data[65536];
	int n = BIO_read(SSL_get_wbio(pair->server), data, (int)cut(pair, sizeof data));

	if (n <= 0)
		return false;
	feed(pair, data, (size_t)n);
	return true;
}

static void run_server(struct pair *pair)
{
	size_t n;

	if (!pair->server_open)
		pair->server_open = SSL_do_handshake(pair->server) == 1;
	while (pair->server_open && pair->at_server.size < sizeof pair->at_server.data &&
		SSL_read_ex(pair->server, pair->at_server.data + pair->at_server.size,
			sizeof pair->at_server.data - pair->at_server.size, &n) == 1)
		pair->at_server.size += n;
	pair->server_ended = (SSL_get_shutdown(pair->server) & SSL_RECEIVED_SHUTDOWN) != 0;
	ERR_clear_error();
}

/* Until nothing moves any more. */
static enum tls_state pump(struct pair *pair)
{
	feed(pair, NULL, 0);
	do
		run_server(pair);
	while (to_client(pair));
	return tls_stream_state(pair->stream);
}

static void client_writes(struct pair *pair, const uint8_t *data, size_t size)
{
	struct tls_input plain = {.data = data, .size = size};
	size_t capacity = TLS_STREAM_ROOM(size);
	uint8_t *out = malloc(capacity);

	assert_non_null(out);
	while (plain.size > 0) {
		struct tls_input piece = {.data = plain.data, .size = cut(pair, plain.size)};
		struct tls_output to_wire = {.data = out, .capacity = capacity};

		plain.data += piece.size;
		plain.size -= piece.size;
		(void)tls_stream_write(pair->stream, &piece, &to_wire);
		assert_int_equal(piece.size, 0);
		send_to_server(pair, out, to_wire.size);
	}
	free(out);
}

static void client_ends(struct pair *pair)
{
	uint8_t out[TLS_STREAM_OVERHEAD];
	struct tls_output to_wire = {.data = out, .capacity = sizeof out};

	tls_stream_end(pair->stream, &to_wire);
	send_to_server(pair, out, to_wire.size);
	to_wire.size = 0;
	tls_stream_end(pair->stream, &to_wire);
	assert_int_equal(to_wire.size, 0);
}

static void server_writes(struct pair *pair, const void *data, size_t size)
{
	size_t n;

	assert_int_equal(SSL_write_ex(pair->server, data, size, &n), 1);
	assert_int_equal(n, size);
}

/* A word each way. */
static void check_talk(struct pair *pair)
{
	pair->at_client.size = 0;
	pair->at_server.size = 0;
	client_writes(pair, (const uint8_t *)"hello", 5);
	server_writes(pair, "world", 5);
	assert_int_equal(pump(pair), TLS_OPEN);
	assert_int_equal(pair->at_server.size, 5);
	assert_memory_equal(pair->at_server.data, "hello", 5);
	assert_int_equal(pair->at_client.size, 5);
	assert_memory_equal(pair->at_client.data, "world", 5);
}

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

#define EACH_VERSION(i) for (size_t i = 0; (i) < sizeof versions / sizeof *versions; (i)++)

/* --- handshakes that succeed */

static void test_handshake(void **state)
{
	(void)state;
	EACH_VERSION(i) {
		struct tls_settings settings = ours();
		struct pair *pair = make_pair("server", versions[i], &settings, NAME);

		assert_int_equal(pump(pair), TLS_OPEN);
		assert_string_equal(SSL_get_servername(pair->server, TLSEXT_NAMETYPE_host_name), NAME);
		assert_int_equal(SSL_version(pair->server), versions[i]);
		assert_string_equal(tls_stream_failure(pair->stream), "");
		assert_string_equal(tls_stream_detail(pair->stream), "");
		check_talk(pair);
		free_pair(pair);
	}
}

static int choose_http(
	SSL *ssl, const uint8_t **out, uint8_t *out_length, const uint8_t *in, unsigned in_length, void *argument)
{
	(void)ssl;
	assert_int_equal(in_length, 9);
	assert_memory_equal(in, "\x08http/1.1", 9);
	*out = in + 1;
	*out_length = in[0];
	*(bool *)argument = true;
	return SSL_TLSEXT_ERR_OK;
}

static void test_alpn(void **state)
{
	struct tls_settings settings = ours();
	bool offered = false;
	struct pair *pair;

	(void)state;
	settings.alpn = "http/1.1";
	pair = make_pair("server", TLS1_3_VERSION, &settings, NAME);
	SSL_CTX_set_alpn_select_cb(pair->server_ctx, choose_http, &offered);
	assert_int_equal(pump(pair), TLS_OPEN);
	assert_true(offered);
	free_pair(pair);
}

/* --- who the server is */

struct identity {
	const char *name;
	const char *sni;
	const char *subject_alt_name; /* NULL: none */
	const char *seen;             /* the SNI that the server sees; NULL: none */
	bool good;
};

static const struct identity identities[] = {
	{NAME, NULL, NULL, NAME, true},
	{"SERVER.Example", NULL, NULL, "SERVER.Example", true},
	{"server.example.", NULL, NULL, NAME, true},
	{"other.example", NULL, NULL, "other.example", false},
	{"a.wild.example", NULL, NULL, "a.wild.example", true},
	{"a.b.wild.example", NULL, NULL, "a.b.wild.example", false},
	{"wild.example", NULL, NULL, "wild.example", false},
	{"192.0.2.7", NULL, NULL, NULL, true},
	{"192.0.2.8", NULL, NULL, NULL, false},
	{"2001:db8::7", NULL, NULL, NULL, true},
	/* the name that is asked for is the one that counts */
	{"other.example", NAME, NULL, NAME, true},
	{NAME, "other.example", NULL, "other.example", false},
	/* one that must be carried counts, and the name does not */
	{"other.example", NULL, NAME, "other.example", true},
	{NAME, NULL, "other.example", NAME, false},
	{NAME, NULL, "b.wild.example", NAME, true},
	{NAME, NULL, "*.wild.example", NAME, true},
	{NAME, NULL, "*.example", NAME, false},
	{NAME, NULL, "spiffe://mesh/ns/a/sa/b", NAME, true},
	{NAME, NULL, "spiffe://mesh/ns/A/sa/b", NAME, false},
	{NAME, NULL, "192.0.2.7", NAME, true},
	{NAME, NULL, "192.0.2.70", NAME, false},
};

static void test_identity(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof identities / sizeof *identities; i++) {
		const struct identity *identity = &identities[i];
		const char *names[] = {"nobody.example", identity->subject_alt_name};
		struct tls_settings settings = ours();
		struct pair *pair;
		const char *seen;

		settings.sni = identity->sni;
		settings.subject_alt_names = names;
		settings.subject_alt_name_count = identity->subject_alt_name != NULL ? 2 : 0;
		pair = make_pair("server", versions[i % 2], &settings, identity->name);
		assert_int_equal(pump(pair), identity->good ? TLS_OPEN : TLS_FAILED);
		seen = SSL_get_servername(pair->server, TLSEXT_NAMETYPE_host_name);
		if (identity->seen != NULL)
			assert_string_equal(seen, identity->seen);
		else
			assert_null(seen);
		assert_string_equal(tls_stream_failure(pair->stream), identity->good ? "" : VERIFY_FAILED);
		assert_string_equal(tls_stream_detail(pair->stream), identity->good ? "" : "hostname mismatch");
		free_pair(pair);
	}
}

static void check_refused(const char *certificate, const char *ca_file, const char *detail)
{
	EACH_VERSION(i) {
		struct tls_settings settings = {.ca_file = ca_file};
		struct pair *pair = make_pair(certificate, versions[i], &settings, NAME);

		assert_int_equal(pump(pair), TLS_FAILED);
		assert_string_equal(tls_stream_failure(pair->stream), VERIFY_FAILED);
		assert_string_equal(tls_stream_detail(pair->stream), detail);
		/* Nothing more passes, and the server has been told. */
		client_ends(pair);
		assert_int_equal(pump(pair), TLS_FAILED);
		assert_false(pair->server_open);
		free_pair(pair);
	}
}

static void test_certificate_refused(void **state)
{
	(void)state;
	check_refused("server", path_of("other.pem"), "unable to get local issuer certificate");
	check_refused("other", path_of("ours.pem"), "self-signed certificate");
	check_refused("expired", path_of("ours.pem"), "certificate has expired");
}

static void test_insecure(void **state)
{
	const struct tls_settings settings = {.insecure = true};
	struct pair *pair = make_pair("expired", TLS1_3_VERSION, &settings, "other.example");

	(void)state;
	assert_int_equal(pump(pair), TLS_OPEN);
	check_talk(pair);
	free_pair(pair);
}

static void test_system_trust(void **state)
{
	const struct tls_settings settings = {.insecure = false};
	struct tls_context *second;
	struct pair *pair;
	struct error e;

	(void)state;
	assert_int_equal(setenv("SSL_CERT_FILE", path_of("ours.pem"), 1), 0);
	pair = make_pair("server", TLS1_3_VERSION, &settings, NAME);
	assert_int_equal(pump(pair), TLS_OPEN);
	disconnect_pair(pair);
	/* Another file is another trust, for who comes later. */
	assert_int_equal(setenv("SSL_CERT_FILE", path_of("other.pem"), 1), 0);
	assert_int_equal(tls_context_new(&settings, &second, &e), 0);
	connect_pair(pair, NAME);
	assert_int_equal(pump(pair), TLS_OPEN);
	disconnect_pair(pair);
	tls_context_unref(pair->context);
	pair->context = second;
	connect_pair(pair, NAME);
	assert_int_equal(pump(pair), TLS_FAILED);
	free_pair(pair);
	assert_int_equal(setenv("SSL_CERT_FILE", path_of("none.pem"), 1), 0);
	assert_int_equal(tls_context_new(&settings, &second, &e), -ENOENT);
	assert_non_null(strstr(e.text, "none.pem"));
	assert_int_equal(unsetenv("SSL_CERT_FILE"), 0);
}

/* --- who the client is */

static void want_client(struct pair *pair)
{
	SSL_set_verify(pair->server, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	assert_int_equal(SSL_CTX_load_verify_file(pair->server_ctx, path_of("ours.pem")), 1);
}

static void test_client_certificate(void **state)
{
	(void)state;
	EACH_VERSION(i) {
		struct tls_settings settings = ours();
		struct pair *pair;

		settings.certificate_file = path_of("client.pem");
		settings.key_file = path_of("client.key");
		pair = make_pair("server", versions[i], &settings, NAME);
		want_client(pair);
		assert_int_equal(pump(pair), TLS_OPEN);
		assert_int_equal(SSL_get_verify_result(pair->server), X509_V_OK);
		check_talk(pair);
		free_pair(pair);
	}
}

/* In TLS 1.3 the client is through before the server has an opinion. */
static void test_client_certificate_missing(void **state)
{
	static const char *const failures[] = {
		"TLS_error:|268436496:SSL routines:OPENSSL_internal:SSLV3_ALERT_HANDSHAKE_FAILURE:TLS_error_end",
		"TLS_error:|268436572:SSL routines:OPENSSL_internal:TLSV1_ALERT_CERTIFICATE_REQUIRED:TLS_error_end"};

	(void)state;
	EACH_VERSION(i) {
		struct tls_settings settings = ours();
		struct pair *pair = make_pair("server", versions[i], &settings, NAME);

		want_client(pair);
		assert_int_equal(pump(pair), TLS_FAILED);
		assert_string_equal(tls_stream_failure(pair->stream), failures[i]);
		free_pair(pair);
	}
}

/* --- servers that are none */

static void check_junk(const char *bytes, size_t size, const char *failure)
{
	for (unsigned seed = 0; seed < 4; seed++) {
		struct tls_settings settings = ours();
		struct pair *pair = make_pair("server", TLS1_3_VERSION, &settings, NAME);

		feed(pair, NULL, 0);
		pair->seed = seed;
		for (size_t done = 0; done < size && tls_stream_state(pair->stream) != TLS_FAILED;) {
			size_t piece = cut(pair, size - done);

			feed(pair, (const uint8_t *)bytes + done, piece);
			done += piece;
		}
		assert_int_equal(tls_stream_state(pair->stream), TLS_FAILED);
		assert_string_equal(tls_stream_failure(pair->stream), failure);
		free_pair(pair);
	}
}

static void test_junk(void **state)
{
	static const char http[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
	static const char alert[] = "\x15\x03\x01\x00\x02\x02\x46";
	static const char internal[] = "\x15\x03\x03\x00\x02\x02\x50";

	(void)state;
	check_junk(http, sizeof http - 1,
		"TLS_error:|268435703:SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER:TLS_error_end");
	check_junk(alert, sizeof alert - 1,
		"TLS_error:|268436526:SSL routines:OPENSSL_internal:TLSV1_ALERT_PROTOCOL_VERSION:TLS_error_end");
	check_junk(internal, sizeof internal - 1,
		"TLS_error:|268436536:SSL routines:OPENSSL_internal:TLSV1_ALERT_INTERNAL_ERROR:TLS_error_end");
}

/* Nobody may write to who has ended before it began. */
static void test_end_in_handshake(void **state)
{
	static const uint8_t end[] = {21, 3, 3, 0, 2, 1, 0};
	struct tls_settings settings = ours();
	struct pair *pair = make_pair("server", TLS1_3_VERSION, &settings, NAME);
	uint8_t out[1024];
	struct tls_output to_wire = {.data = out, .capacity = sizeof out};
	struct tls_input plain = {.data = (const uint8_t *)"hello", .size = 5};

	(void)state;
	feed(pair, NULL, 0);
	feed(pair, end, sizeof end);
	assert_int_equal(tls_stream_state(pair->stream), TLS_FAILED);
	assert_string_equal(tls_stream_failure(pair->stream), "");
	assert_string_equal(tls_stream_detail(pair->stream), "the server ended TLS in the handshake");
	assert_int_equal(tls_stream_write(pair->stream, &plain, &to_wire), TLS_FAILED);
	assert_int_equal(plain.size, 5);
	assert_int_equal(to_wire.size, 0);
	free_pair(pair);
}

/* A byte that was changed on the way. */
static void test_corruption(void **state)
{
	(void)state;
	EACH_VERSION(i) {
		struct tls_settings settings = ours();
		struct pair *pair = make_pair("server", versions[i], &settings, NAME);
		uint8_t data[256];
		int n;

		assert_int_equal(pump(pair), TLS_OPEN);
		server_writes(pair, "world", 5);
		n = BIO_read(SSL_get_wbio(pair->server), data, sizeof data);
		assert_true(n > 5);
		data[n - 1] ^= 1;
		feed(pair, data, (size_t)n);
		assert_int_equal(tls_stream_state(pair->stream), TLS_FAILED);
		assert_int_equal(pair->at_client.size, 0);
		assert_string_equal(tls_stream_failure(pair->stream),
			"TLS_error:|268435595:SSL routines:OPENSSL_internal:DECRYPTION_FAILED_OR_BAD_RECORD_MAC"
			":TLS_error_end");
		free_pair(pair);
	}
}

/* --- bytes */

static void fill_random(uint8_t *data, size_t size, unsigned seed)
{
	for (size_t i = 0; i < size; i++)
		data[i] = (uint8_t)rand_r(&seed);
}

static void test_bulk(void **state)
{
	static uint8_t sent[BULK_SIZE];

	(void)state;
	for (unsigned seed = 0; seed < 6; seed++) {
		size_t size = seed == 0 ? sizeof sent : sizeof sent / 16;
		struct tls_settings settings = ours();
		struct pair *pair = make_pair("server", versions[seed % 2], &settings, NAME);

		pair->seed = seed;
		fill_random(sent, size, seed);
		assert_int_equal(pump(pair), TLS_OPEN);
		client_writes(pair, sent, size);
		server_writes(pair, sent, size);
		assert_int_equal(pump(pair), TLS_OPEN);
		assert_int_equal(pair->at_server.size, size);
		assert_memory_equal(pair->at_server.data, sent, size);
		assert_int_equal(pair->at_client.size, size);
		assert_memory_equal(pair->at_client.data, sent, size);
		free_pair(pair);
	}
}

/* With the room that the header asks for, one call takes everything, whatever a record's beginning was. */
static void test_room(void **state)
{
	static uint8_t sent[200000];
	static uint8_t data[TLS_STREAM_ROOM(sizeof sent)];
	static uint8_t out[TLS_STREAM_ROOM(sizeof data)];

	(void)state;
	EACH_VERSION(i) {
		for (size_t first = 1; first < 17000; first += 1613) {
			struct tls_settings settings = ours();
			struct pair *pair = make_pair("server", versions[i], &settings, NAME);
			struct tls_output none = {.data = data};
			struct tls_output plain = {.data = out, .capacity = TLS_STREAM_ROOM(first)};
			struct tls_input wire = {.data = data, .size = first};
			size_t size;

			assert_int_equal(pump(pair), TLS_OPEN);
			server_writes(pair, sent, sizeof sent);
			size = (size_t)BIO_read(SSL_get_wbio(pair->server), data, sizeof data);
			(void)tls_stream_feed(pair->stream, &wire, &plain, &none);
			assert_int_equal(wire.size, 0);
			wire.size = size - first;
			plain.capacity = plain.size + TLS_STREAM_ROOM(size - first);
			(void)tls_stream_feed(pair->stream, &wire, &plain, &none);
			assert_int_equal(wire.size, 0);
			assert_int_equal(plain.size, sizeof sent);
			free_pair(pair);
		}
	}
}

/* A record whose header has come, and nothing else, is still whole when the rest does. */
static void test_cut_after_header(void **state)
{
	(void)state;
	EACH_VERSION(i) {
		struct tls_settings settings = ours();
		struct pair *pair = make_pair("server", versions[i], &settings, NAME);
		uint8_t data[256];
		int n;

		assert_int_equal(pump(pair), TLS_OPEN);
		for (size_t first = 1; first < 8; first++) {
			pair->at_client.size = 0;
			server_writes(pair, "world", 5);
			n = BIO_read(SSL_get_wbio(pair->server), data, sizeof data);
			feed(pair, data, first);
			client_writes(pair, (const uint8_t *)"hello", 5);
			feed(pair, data + first, (size_t)n - first);
			assert_int_equal(pair->at_client.size, 5);
			assert_memory_equal(pair->at_client.data, "world", 5);
		}
		free_pair(pair);
	}
}

/* What cannot go to the wire is not taken from the application. */
static void test_no_room(void **state)
{
	struct tls_settings settings = ours();
	struct pair *pair = make_pair("server", TLS1_3_VERSION, &settings, NAME);
	uint8_t out[TLS_STREAM_OVERHEAD + 9];
	struct tls_output to_wire = {.data = out, .capacity = sizeof out};
	struct tls_input plain = {.data = (const uint8_t *)"0123456789", .size = 10};

	(void)state;
	assert_int_equal(tls_stream_write(pair->stream, &plain, &to_wire), TLS_HANDSHAKE);
	assert_int_equal(plain.size, 10);
	assert_int_equal(pump(pair), TLS_OPEN);
	assert_int_equal(tls_stream_write(pair->stream, &plain, &to_wire), TLS_OPEN);
	assert_int_equal(plain.size, 10);
	assert_int_equal(to_wire.size, 0);
	free_pair(pair);
}

/* Each wants an answer on the wire: those wait for room, and what is written comes after them. */
static void test_key_updates(void **state)
{
	for (unsigned seed = 0; seed < 3; seed++) {
		struct tls_settings settings = ours();
		struct pair *pair = make_pair("server", TLS1_3_VERSION, &settings, NAME);

		(void)state;
		assert_int_equal(pump(pair), TLS_OPEN);
		pair->seed = seed;
		for (int i = 0; i < 20; i++) {
			assert_int_equal(SSL_key_update(pair->server, SSL_KEY_UPDATE_REQUESTED), 1);
			assert_int_equal(SSL_do_handshake(pair->server), 1);
		}
		check_talk(pair);
		free_pair(pair);
	}
}

static void test_renegotiation(void **state)
{
	struct tls_settings settings = ours();
	struct pair *pair = make_pair("server", TLS1_2_VERSION, &settings, NAME);
	size_t n;

	(void)state;
	assert_int_equal(pump(pair), TLS_OPEN);
	check_talk(pair);
	assert_int_equal(SSL_renegotiate(pair->server), 1);
	assert_int_equal(SSL_do_handshake(pair->server), 1);
	while (to_client(pair))
		;
	assert_int_equal(tls_stream_state(pair->stream), TLS_OPEN);
	assert_int_equal(SSL_read_ex(pair->server, pair->at_server.data, 1, &n), 0);
	assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_NO_RENEGOTIATION);
	ERR_clear_error();
	free_pair(pair);
}

/* --- the end */

static void test_server_ends(void **state)
{
	(void)state;
	EACH_VERSION(i) {
		struct tls_settings settings = ours();
		struct pair *pair = make_pair("server", versions[i], &settings, NAME);

		assert_int_equal(pump(pair), TLS_OPEN);
		server_writes(pair, "last", 4);
		(void)SSL_shutdown(pair->server);
		assert_int_equal(pump(pair), TLS_ENDED);
		assert_int_equal(pair->at_client.size, 4);
		/* The other way is still open. */
		client_writes(pair, (const uint8_t *)"hello", 5);
		client_ends(pair);
		run_server(pair);
		assert_int_equal(pair->at_server.size, 5);
		assert_true(pair->server_ended);
		free_pair(pair);
	}
}

static void test_client_ends(void **state)
{
	(void)state;
	EACH_VERSION(i) {
		struct tls_settings settings = ours();
		struct pair *pair = make_pair("server", versions[i], &settings, NAME);

		assert_int_equal(pump(pair), TLS_OPEN);
		client_writes(pair, (const uint8_t *)"hello", 5);
		client_ends(pair);
		assert_int_equal(pump(pair), TLS_OPEN);
		assert_true(pair->server_ended);
		assert_int_equal(pair->at_server.size, 5);
		server_writes(pair, "answer", 6);
		assert_int_equal(pump(pair), TLS_OPEN);
		assert_int_equal(pair->at_client.size, 6);
		(void)SSL_shutdown(pair->server);
		assert_int_equal(pump(pair), TLS_ENDED);
		free_pair(pair);
	}
}

/* --- sessions */

static bool reconnect(struct pair *pair, const char *name)
{
	disconnect_pair(pair);
	connect_pair(pair, name);
	assert_int_equal(pump(pair), TLS_OPEN);
	check_talk(pair);
	return SSL_session_reused(pair->server) == 1;
}

static void test_resumption(void **state)
{
	(void)state;
	EACH_VERSION(i) {
		struct tls_settings settings = ours();
		struct pair *pair = make_pair("server", versions[i], &settings, NAME);

		assert_int_equal(pump(pair), TLS_OPEN);
		check_talk(pair);
		assert_false(SSL_session_reused(pair->server));
		assert_true(reconnect(pair, NAME));
		assert_true(reconnect(pair, "Server.example"));
		/* What one name has proved is nothing to another. */
		assert_false(reconnect(pair, "a.wild.example"));
		assert_true(reconnect(pair, NAME));
		free_pair(pair);
	}
}

/* A ticket of TLS 1.3 is spent by who takes it. */
static void test_ticket_is_used_once(void **state)
{
	struct tls_settings settings = ours();
	struct pair *pair = make_pair("server", TLS1_3_VERSION, &settings, NAME);
	struct tls_stream *thief;

	(void)state;
	assert_int_equal(pump(pair), TLS_OPEN);
	assert_int_equal(tls_stream_new(pair->context, NAME, &thief), 0);
	assert_false(reconnect(pair, NAME));
	tls_stream_free(thief);
	free_pair(pair);
}

static void test_sessions_are_bounded(void **state)
{
	struct tls_settings settings = ours();
	struct pair *pair = make_pair("server", TLS1_2_VERSION, &settings, NAME);
	char name[64];

	(void)state;
	assert_int_equal(pump(pair), TLS_OPEN);
	for (int i = 0; i < TLS_CONTEXT_SESSIONS; i++) {
		(void)snprintf(name, sizeof name, "n%d.wild.example", i);
		assert_false(reconnect(pair, name));
	}
	assert_true(reconnect(pair, "n0.wild.example"));
	assert_false(reconnect(pair, NAME));
	/* n1 was the oldest then. */
	assert_false(reconnect(pair, "n1.wild.example"));
	assert_true(reconnect(pair, "n0.wild.example"));
	free_pair(pair);
}

/* A context goes with the last who refers to it. */
static void test_references(void **state)
{
	struct tls_settings settings = ours();
	struct pair *pair = make_pair("server", TLS1_3_VERSION, &settings, NAME);

	(void)state;
	tls_context_unref(pair->context);
	pair->context = NULL;
	assert_int_equal(pump(pair), TLS_OPEN);
	check_talk(pair);
	free_pair(pair);
}

static void *talk_often(void *argument)
{
	struct pair *pair = argument;

	for (int i = 0; i < 20; i++) {
		assert_int_equal(pump(pair), TLS_OPEN);
		check_talk(pair);
		disconnect_pair(pair);
		connect_pair(pair, NAME);
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct tls_settings settings = ours();
	struct pair *pairs[3];
	pthread_t threads[3];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		pairs[i] = make_pair("server", versions[i % 2], &settings, NAME);
		if (i > 0) {
			disconnect_pair(pairs[i]);
			tls_context_unref(pairs[i]->context);
			pairs[i]->context = tls_context_ref(pairs[0]->context);
			connect_pair(pairs[i], NAME);
		}
	}
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, talk_often, pairs[i]), 0);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		free_pair(pairs[i]);
	}
}

/* --- what is refused before */

static void check_settings(const struct tls_settings *settings, int code, const char *text)
{
	struct tls_context *context;
	struct error e;

	assert_int_equal(tls_context_new(settings, &context, &e), code);
	if (strstr(e.text, text) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", e.text, text);
}

static void test_settings(void **state)
{
	const char *names[] = {NAME};
	const char *certificate = path_of("client.pem");
	struct tls_settings settings = {.insecure = true, .ca_file = "x"};

	(void)state;
	check_settings(&settings, -EINVAL, "InsecureSkipVerify is set true");
	settings = (struct tls_settings){.insecure = true, .subject_alt_names = names, .subject_alt_name_count = 1};
	check_settings(&settings, -EINVAL, "InsecureSkipVerify is set true");
	settings = (struct tls_settings){.insecure = true, .key_file = "x"};
	check_settings(&settings, -EINVAL, "client certificate required for mutual tls");
	settings = (struct tls_settings){.insecure = true, .certificate_file = "x"};
	check_settings(&settings, -EINVAL, "private key required for mutual tls");
	settings = (struct tls_settings){.insecure = true, .sni = ""};
	check_settings(&settings, -EINVAL, "sni: ");
	settings = (struct tls_settings){.insecure = true, .sni = "a b"};
	check_settings(&settings, -EINVAL, "sni: ");
	settings = (struct tls_settings){.insecure = true, .alpn = ""};
	check_settings(&settings, -EINVAL, "protocol's name");
	settings = (struct tls_settings){.ca_file = path_of("none.pem")};
	check_settings(&settings, -ENOENT, "caCertificates: cannot open");
	settings = (struct tls_settings){.ca_file = folder};
	check_settings(&settings, -EINVAL, "is not a file");
	settings = (struct tls_settings){.ca_file = path_of("text.pem")};
	check_settings(&settings, -EINVAL, "holds no certificate in PEM");
	settings = (struct tls_settings){.ca_file = path_of("broken.pem")};
	check_settings(&settings, -EINVAL, "a certificate cannot be read");
	settings = (struct tls_settings){
		.insecure = true, .certificate_file = path_of("text.pem"), .key_file = path_of("client.key")};
	check_settings(&settings, -EINVAL, "clientCertificate: ");
	settings = (struct tls_settings){
		.insecure = true, .certificate_file = certificate, .key_file = path_of("server.key")};
	check_settings(&settings, -EINVAL, "the key is not the certificate's");
	settings = (struct tls_settings){
		.insecure = true, .certificate_file = certificate, .key_file = path_of("locked.key")};
	check_settings(&settings, -EINVAL, "without a password");
}

static void test_names(void **state)
{
	static const char *const bad[] = {"", ".", "a b", "a\nb", "a/b", "*.example", "a:443", "[::1]", "\xc3\xa9.example"};
	const struct tls_settings settings = {.insecure = true};
	struct tls_context *context;
	struct tls_stream *stream;
	char name[256];
	struct error e;

	(void)state;
	assert_int_equal(tls_context_new(&settings, &context, &e), 0);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(tls_stream_new(context, bad[i], &stream), -EINVAL);
	memset(name, 'a', sizeof name);
	name[254] = '\0';
	assert_int_equal(tls_stream_new(context, name, &stream), -EINVAL);
	name[253] = '\0';
	assert_int_equal(tls_stream_new(context, name, &stream), 0);
	tls_stream_free(stream);
	tls_stream_free(NULL);
	tls_context_unref(context);
	tls_context_unref(NULL);
}

/* --- */

static int make_certificates(void **state)
{
	char command[256];

	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	(void)snprintf(command, sizeof command, "tests/unit/tls/certificates %s", folder);
	return system(command); /* NOLINT(cert-env33-c): a script of the tests, in a folder of the test */
}

static int remove_certificates(void **state)
{
	char command[256];

	(void)state;
	(void)snprintf(command, sizeof command, "rm -r %s", folder);
	return system(command); /* NOLINT(cert-env33-c): the same */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_handshake),
		cmocka_unit_test(test_alpn),
		cmocka_unit_test(test_identity),
		cmocka_unit_test(test_certificate_refused),
		cmocka_unit_test(test_insecure),
		cmocka_unit_test(test_system_trust),
		cmocka_unit_test(test_client_certificate),
		cmocka_unit_test(test_client_certificate_missing),
		cmocka_unit_test(test_junk),
		cmocka_unit_test(test_end_in_handshake),
		cmocka_unit_test(test_corruption),
		cmocka_unit_test(test_bulk),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_cut_after_header),
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_key_updates),
		cmocka_unit_test(test_renegotiation),
		cmocka_unit_test(test_server_ends),
		cmocka_unit_test(test_client_ends),
		cmocka_unit_test(test_resumption),
		cmocka_unit_test(test_ticket_is_used_once),
		cmocka_unit_test(test_sessions_are_bounded),
		cmocka_unit_test(test_references),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
