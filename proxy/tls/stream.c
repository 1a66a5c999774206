/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenSSL reads and writes through a BIO that has no memory of its own: it looks through the windows that the caller of
 * tls_stream_feed() or tls_stream_write() lends for the time of the call. An empty window is "try again later", and
 * what has been taken of a record by then is kept by OpenSSL, which frees that buffer when it is empty.
 */
#include "proxy/tls/stream.h"

#include "proxy/tls/internal.h"
#include "redirect/base/address.h"

#include <assert.h>
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of a DNS name, without the last dot. */
#define NAME_LENGTH_MAX 253

static_assert(TLS_STREAM_RECORD == SSL3_RT_MAX_PLAIN_LENGTH, "the largest record is the protocol's");
static_assert(TLS_STREAM_OVERHEAD >= SSL3_RT_HEADER_LENGTH + SSL3_RT_MAX_ENCRYPTED_OVERHEAD, "a record fits");

struct failure {
	char text[TLS_STREAM_FAILURE_SIZE];
	const char *detail; /* a constant */
};

struct tls_stream {
	struct tls_context *context; /* a reference */
	SSL *ssl;
	enum tls_state state;
	struct tls_input *from_wire; /* lent, during a call; NULL: nothing */
	struct tls_output *to_wire;  /* the same */
	struct failure *failure;     /* owned; NULL without one, or for want of memory */
	char name[];
};

/* --- windows */

static int window_read(BIO *bio, char *out, int size)
{
	struct tls_input *from = ((struct tls_stream *)BIO_get_data(bio))->from_wire;
	size_t n;

	BIO_clear_retry_flags(bio);
	if (from == NULL || from->size == 0 || size <= 0) {
		BIO_set_retry_read(bio);
		return -1;
	}
	n = from->size < (size_t)size ? from->size : (size_t)size;
	memcpy(out, from->data, n);
	from->data += n;
	from->size -= n;
	return (int)n;
}

static size_t room(const struct tls_output *out)
{
	return out != NULL ? out->capacity - out->size : 0;
}

static int window_write(BIO *bio, const char *data, int size)
{
	struct tls_output *to = ((struct tls_stream *)BIO_get_data(bio))->to_wire;
	size_t n = room(to);

	BIO_clear_retry_flags(bio);
	if (n == 0 || size <= 0) {
		BIO_set_retry_write(bio);
		return -1;
	}
	n = n < (size_t)size ? n : (size_t)size;
	memcpy(to->data + to->size, data, n);
	to->size += n;
	return (int)n;
}

static long window_control(BIO *bio, int command, long number, void *pointer)
{
	(void)bio;
	(void)number;
	(void)pointer;
	return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *window;
static pthread_once_t window_once = PTHREAD_ONCE_INIT;

static void make_window(void)
{
	window = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "window");
	if (window == NULL)
		return;
	(void)BIO_meth_set_read(window, window_read);
	(void)BIO_meth_set_write(window, window_write);
	(void)BIO_meth_set_ctrl(window, window_control);
}

static void lend(struct tls_stream *stream, struct tls_input *from_wire, struct tls_output *to_wire)
{
	stream->from_wire = from_wire;
	stream->to_wire = to_wire;
	/* Each thread has one queue of errors, and the last one's shall not be taken for this one's. */
	ERR_clear_error();
}

static enum tls_state take_back(struct tls_stream *stream)
{
	stream->from_wire = NULL;
	stream->to_wire = NULL;
	return stream->state;
}

/* --- beginning and end */

int tls_name_check(const char *name, size_t length)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
	struct address address;

	if (length == 0 || length > NAME_LENGTH_MAX)
		return -EINVAL;
	if (address_parse(name, length, &address) == 0)
		return 0;
	return strspn(name, allowed) >= length ? 0 : -EINVAL;
}

static int set_name(struct tls_stream *stream)
{
	char *sni = stream->context->sni != NULL ? stream->context->sni : stream->name;
	struct address address;

	/* RFC 6066, section 3: no addresses. */
	if (address_parse(sni, strlen(sni), &address) == 0)
		return 0;
	return SSL_set_tlsext_host_name(stream->ssl, sni) == 1 ? 0 : -ENOMEM;
}

static int open_ssl(struct tls_stream *stream)
{
	SSL_SESSION *session;
	BIO *bio;
	int rc;

	(void)pthread_once(&window_once, make_window);
	stream->ssl = SSL_new(stream->context->ctx);
	bio = window != NULL ? BIO_new(window) : NULL;
	if (stream->ssl == NULL || bio == NULL) {
		BIO_free(bio);
		return -ENOMEM;
	}
	BIO_set_data(bio, stream);
	BIO_set_init(bio, 1);
	SSL_set_bio(stream->ssl, bio, bio);
	if (SSL_set_app_data(stream->ssl, stream) != 1)
		return -ENOMEM;
	rc = set_name(stream);
	if (rc < 0)
		return rc;
	SSL_set_connect_state(stream->ssl);
	session = tls_session_take(stream->context, stream->name);
	if (session != NULL)
		(void)SSL_set_session(stream->ssl, session);
	SSL_SESSION_free(session);
	return 0;
}

int tls_stream_new(struct tls_context *context, const char *name, struct tls_stream **ret_stream)
{
	size_t length = strlen(name);
	struct tls_stream *stream;
	int rc;

	if (length > 0 && name[length - 1] == '.')
		length--;
	rc = tls_name_check(name, length);
	if (rc < 0)
		return rc;
	stream = calloc(1, sizeof *stream + length + 1);
	if (stream == NULL)
		return -ENOMEM;
	memcpy(stream->name, name, length);
	stream->context = tls_context_ref(context);
	rc = open_ssl(stream);
	if (rc < 0) {
		tls_stream_free(stream);
		return rc;
	}
	*ret_stream = stream;
	return 0;
}

void tls_stream_free(struct tls_stream *stream)
{
	if (stream == NULL)
		return;
	/* Without the other's last word OpenSSL would not let the session be resumed; nobody waits for that. */
	if (stream->state == TLS_OPEN || stream->state == TLS_ENDED)
		SSL_set_shutdown(stream->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(stream->ssl);
	tls_context_unref(stream->context);
	free(stream->failure);
	free(stream);
}

/* --- failure */

static const char *describe(const struct tls_stream *stream, unsigned long code)
{
	long verified = SSL_get_verify_result(stream->ssl);
	const char *reason = ERR_reason_error_string(code);

	if (code == 0)
		return "the server ended TLS in the handshake";
	if (ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED)
		return X509_verify_cert_error_string(verified);
	return reason != NULL ? reason : "";
}

static void fail(struct tls_stream *stream)
{
	unsigned long code = ERR_peek_error();

	stream->state = TLS_FAILED;
	stream->failure = malloc(sizeof *stream->failure);
	if (stream->failure == NULL)
		return;
	stream->failure->detail = describe(stream, code);
	tls_failure_format(stream->failure->text);
}

/* What a call that got nowhere says of the stream. */
static void take_error(struct tls_stream *stream, int rc)
{
	switch (SSL_get_error(stream->ssl, rc)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		break;
	case SSL_ERROR_ZERO_RETURN:
		/* An end before the beginning is none that anybody could be told of as orderly. */
		if (stream->state == TLS_HANDSHAKE)
			fail(stream);
		else
			stream->state = TLS_ENDED;
		break;
	default:
		fail(stream);
		break;
	}
}

/* --- bytes */

static void shake_hands(struct tls_stream *stream)
{
	int rc = SSL_do_handshake(stream->ssl);

	if (rc == 1)
		stream->state = TLS_OPEN;
	else
		take_error(stream, rc);
}

/*
 * What OpenSSL's mode of releasing forgets: a ticket makes it allocate a buffer to write into, too. Versions without
 * the fix of CVE-2024-4741 would free the other one under a record of which only the header has come.
 */
static void release_buffers(const struct tls_stream *stream)
{
	if (SSL_want_read(stream->ssl) && strcmp(SSL_rstate_string(stream->ssl), "RH") == 0)
		(void)SSL_free_buffers(stream->ssl);
}

static void read_plain(struct tls_stream *stream, struct tls_output *plain)
{
	size_t n;

	while (room(plain) > 0) {
		int rc = SSL_read_ex(stream->ssl, plain->data + plain->size, room(plain), &n);

		if (rc != 1) {
			take_error(stream, rc);
			release_buffers(stream);
			return;
		}
		plain->size += n;
	}
}

enum tls_state tls_stream_feed(
	struct tls_stream *stream, struct tls_input *wire, struct tls_output *plain, struct tls_output *to_wire)
{
	lend(stream, wire, to_wire);
	if (stream->state == TLS_HANDSHAKE)
		shake_hands(stream);
	if (stream->state == TLS_OPEN)
		read_plain(stream, plain);
	return take_back(stream);
}

enum tls_state tls_stream_write(struct tls_stream *stream, struct tls_input *plain, struct tls_output *to_wire)
{
	lend(stream, NULL, to_wire);
	while (plain->size > 0 && (stream->state == TLS_OPEN || stream->state == TLS_ENDED)) {
		size_t piece = plain->size < TLS_STREAM_RECORD ? plain->size : TLS_STREAM_RECORD;
		size_t n;
		int rc;

		if (room(to_wire) < piece + TLS_STREAM_OVERHEAD)
			break;
		rc = SSL_write_ex(stream->ssl, plain->data, piece, &n);
		if (rc != 1) {
			take_error(stream, rc);
			break;
		}
		plain->data += n;
		plain->size -= n;
	}
	return take_back(stream);
}

void tls_stream_end(struct tls_stream *stream, struct tls_output *to_wire)
{
	lend(stream, NULL, to_wire);
	if ((stream->state == TLS_OPEN || stream->state == TLS_ENDED) &&
		(SSL_get_shutdown(stream->ssl) & SSL_SENT_SHUTDOWN) == 0)
		(void)SSL_shutdown(stream->ssl);
	(void)take_back(stream);
}

/* --- what is known */

enum tls_state tls_stream_state(const struct tls_stream *stream)
{
	return stream->state;
}

const char *tls_stream_failure(const struct tls_stream *stream)
{
	return stream->failure != NULL ? stream->failure->text : "";
}

const char *tls_stream_detail(const struct tls_stream *stream)
{
	return stream->failure != NULL ? stream->failure->detail : "";
}

const char *tls_stream_name(const struct tls_stream *stream)
{
	return stream->name;
}
