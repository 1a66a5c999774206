/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who the server is, who it has been, and what went wrong with it: what a stream asks OpenSSL for beside the bytes.
 *
 * Names are looked for among the certificate's subjectAltNames of every kind, as Envoy does for an exact match; DNS
 * names by the rules of DNS (RFC 6125: no difference of case, a wildcard for one whole label), all others literally.
 * The common name is not looked at.
 */
#include "proxy/tls/internal.h"

#include "redirect/base/address.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* --- names */

static bool is_address(const char *name)
{
	struct address address;

	return address_parse(name, strlen(name), &address) == 0;
}

/* A wildcard that is asked for is one that the certificate must spell out. */
static bool equals(const GENERAL_NAME *general, const char *name)
{
	const ASN1_IA5STRING *text;
	size_t length = strlen(name);

	if (general->type != GEN_DNS && general->type != GEN_URI && general->type != GEN_EMAIL)
		return false;
	text = general->d.ia5;
	if ((size_t)ASN1_STRING_length(text) != length)
		return false;
	if (general->type == GEN_DNS)
		return strncasecmp((const char *)ASN1_STRING_get0_data(text), name, length) == 0;
	return memcmp(ASN1_STRING_get0_data(text), name, length) == 0;
}

static bool carries(X509 *certificate, const char *name)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	bool found = false;

	for (int i = 0; i < sk_GENERAL_NAME_num(names) && !found; i++)
		found = equals(sk_GENERAL_NAME_value(names, i), name);
	GENERAL_NAMES_free(names);
	return found;
}

static bool is_for(X509 *certificate, const char *name)
{
	const unsigned flags = X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS;

	if (is_address(name))
		return X509_check_ip_asc(certificate, name, 0) == 1;
	return X509_check_host(certificate, name, strlen(name), flags, NULL) == 1;
}

/* One of the names that the context wants, or without any, the one that was asked for. */
static bool matches(X509 *certificate, const struct tls_context *context, const struct tls_stream *stream)
{
	if (context->subject_alt_name_count == 0)
		return is_for(certificate, context->sni != NULL ? context->sni : tls_stream_name(stream));
	for (size_t i = 0; i < context->subject_alt_name_count; i++)
		if (is_for(certificate, context->subject_alt_names[i]) || carries(certificate, context->subject_alt_names[i]))
			return true;
	return false;
}

int tls_peer_check(X509_STORE_CTX *check, void *context)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(check, SSL_get_ex_data_X509_STORE_CTX_idx());
	int rc;

	if (((const struct tls_context *)context)->insecure)
		return 1;
	rc = X509_verify_cert(check);
	if (rc != 1)
		return rc;
	if (matches(X509_STORE_CTX_get0_cert(check), context, SSL_get_app_data(ssl)))
		return 1;
	X509_STORE_CTX_set_error(check, X509_V_ERR_HOSTNAME_MISMATCH);
	return 0;
}

/* --- sessions */

static void forget(struct tls_session *place)
{
	SSL_SESSION_free(place->session);
	free(place->name);
	place->session = NULL;
	place->name = NULL;
}

/* A ticket of TLS 1.3 is for one use, lest connections be told to be the same client's (RFC 8446, appendix C.4). */
SSL_SESSION *tls_session_take(struct tls_context *context, const char *name)
{
	SSL_SESSION *session = NULL;

	(void)pthread_mutex_lock(&context->lock);
	for (size_t i = 0; i < TLS_CONTEXT_SESSIONS && session == NULL; i++) {
		struct tls_session *place = &context->sessions[i];

		if (place->session == NULL || strcasecmp(place->name, name) != 0)
			continue;
		session = place->session;
		(void)SSL_SESSION_up_ref(session);
		place->used = ++context->uses;
		if (SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION)
			forget(place);
	}
	(void)pthread_mutex_unlock(&context->lock);
	return session;
}

/* The name's own place, else a free one, else the one that was used longest ago. */
static struct tls_session *choose_place(struct tls_context *context, const char *name)
{
	struct tls_session *best = &context->sessions[0];

	for (size_t i = 0; i < TLS_CONTEXT_SESSIONS; i++) {
		struct tls_session *place = &context->sessions[i];

		if (place->session != NULL && strcasecmp(place->name, name) == 0)
			return place;
		if (best->session != NULL && (place->session == NULL || place->used < best->used))
			best = place;
	}
	return best;
}

void tls_session_put(struct tls_context *context, const char *name, SSL_SESSION *session)
{
	char *copy = strdup(name);
	struct tls_session *place;

	if (copy == NULL) {
		SSL_SESSION_free(session);
		return;
	}
	(void)pthread_mutex_lock(&context->lock);
	place = choose_place(context, name);
	forget(place);
	*place = (struct tls_session){.session = session, .name = copy, .used = ++context->uses};
	(void)pthread_mutex_unlock(&context->lock);
}

/* --- failures */

/*
 * Envoy's library is BoringSSL, whose number for an error is this plus its own number of the reason. Alerts have the
 * same numbers in both: 1000 plus that of the alert.
 */
#define ENVOY_ERROR 0x10000000u

/* What happens to people, in both languages. */
static const struct {
	int reason;     /* OpenSSL's */
	unsigned envoy; /* BoringSSL's */
	const char *name;
} reasons[] = {
	{SSL_R_BAD_CHANGE_CIPHER_SPEC, 103, "BAD_CHANGE_CIPHER_SPEC"},
	{SSL_R_BAD_SIGNATURE, 114, "BAD_SIGNATURE"},
	{SSL_R_CERTIFICATE_VERIFY_FAILED, 125, "CERTIFICATE_VERIFY_FAILED"},
	{SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, 139, "DECRYPTION_FAILED_OR_BAD_RECORD_MAC"},
	{SSL_R_ENCRYPTED_LENGTH_TOO_LONG, 146, "ENCRYPTED_LENGTH_TOO_LONG"},
	{SSL_R_EXCESSIVE_MESSAGE_SIZE, 150, "EXCESSIVE_MESSAGE_SIZE"},
	{SSL_R_LENGTH_MISMATCH, 162, "LENGTH_MISMATCH"},
	{SSL_R_UNEXPECTED_MESSAGE, 223, "UNEXPECTED_MESSAGE"},
	{SSL_R_UNEXPECTED_RECORD, 225, "UNEXPECTED_RECORD"},
	{SSL_R_UNSUPPORTED_PROTOCOL, 240, "UNSUPPORTED_PROTOCOL"},
	{SSL_R_WRONG_CIPHER_RETURNED, 242, "WRONG_CIPHER_RETURNED"},
	{SSL_R_WRONG_CURVE, 243, "WRONG_CURVE"},
	{SSL_R_WRONG_VERSION_NUMBER, 247, "WRONG_VERSION_NUMBER"},
	{SSL_R_SSLV3_ALERT_UNEXPECTED_MESSAGE, 1010, "SSLV3_ALERT_UNEXPECTED_MESSAGE"},
	{SSL_R_SSLV3_ALERT_BAD_RECORD_MAC, 1020, "SSLV3_ALERT_BAD_RECORD_MAC"},
	{SSL_R_TLSV1_ALERT_RECORD_OVERFLOW, 1022, "TLSV1_ALERT_RECORD_OVERFLOW"},
	{SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE, 1040, "SSLV3_ALERT_HANDSHAKE_FAILURE"},
	{SSL_R_SSLV3_ALERT_NO_CERTIFICATE, 1041, "SSLV3_ALERT_NO_CERTIFICATE"},
	{SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, 1042, "SSLV3_ALERT_BAD_CERTIFICATE"},
	{SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE, 1043, "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE"},
	{SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED, 1044, "SSLV3_ALERT_CERTIFICATE_REVOKED"},
	{SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED, 1045, "SSLV3_ALERT_CERTIFICATE_EXPIRED"},
	{SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, 1046, "SSLV3_ALERT_CERTIFICATE_UNKNOWN"},
	{SSL_R_SSLV3_ALERT_ILLEGAL_PARAMETER, 1047, "SSLV3_ALERT_ILLEGAL_PARAMETER"},
	{SSL_R_TLSV1_ALERT_UNKNOWN_CA, 1048, "TLSV1_ALERT_UNKNOWN_CA"},
	{SSL_R_TLSV1_ALERT_ACCESS_DENIED, 1049, "TLSV1_ALERT_ACCESS_DENIED"},
	{SSL_R_TLSV1_ALERT_DECODE_ERROR, 1050, "TLSV1_ALERT_DECODE_ERROR"},
	{SSL_R_TLSV1_ALERT_DECRYPT_ERROR, 1051, "TLSV1_ALERT_DECRYPT_ERROR"},
	{SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, 1070, "TLSV1_ALERT_PROTOCOL_VERSION"},
	{SSL_R_TLSV1_ALERT_INSUFFICIENT_SECURITY, 1071, "TLSV1_ALERT_INSUFFICIENT_SECURITY"},
	{SSL_R_TLSV1_ALERT_INTERNAL_ERROR, 1080, "TLSV1_ALERT_INTERNAL_ERROR"},
	{SSL_R_TLSV1_ALERT_NO_RENEGOTIATION, 1100, "TLSV1_ALERT_NO_RENEGOTIATION"},
	{SSL_R_TLSV1_UNSUPPORTED_EXTENSION, 1110, "TLSV1_ALERT_UNSUPPORTED_EXTENSION"},
	{SSL_R_TLSV1_UNRECOGNIZED_NAME, 1112, "TLSV1_ALERT_UNRECOGNIZED_NAME"},
	{SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED, 1116, "TLSV1_ALERT_CERTIFICATE_REQUIRED"},
	{SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL, 1120, "TLSV1_ALERT_NO_APPLICATION_PROTOCOL"},
};

#define REASON_COUNT (sizeof reasons / sizeof *reasons)

/* Returns the bytes of an error's text; 0 where it does not fit, for half a number would be another. */
static size_t format_one(char *out, size_t size, unsigned long code)
{
	const char *library = ERR_lib_error_string(code);
	const char *reason = ERR_reason_error_string(code);
	size_t i = 0;
	int n;

	while (i < REASON_COUNT && (ERR_GET_LIB(code) != ERR_LIB_SSL || ERR_GET_REASON(code) != reasons[i].reason))
		i++;
	if (i < REASON_COUNT)
		n = snprintf(out, size, "|%u:SSL routines:OPENSSL_internal:%s", ENVOY_ERROR + reasons[i].envoy,
			reasons[i].name);
	else
		n = snprintf(out, size, "|%lu:%s:OpenSSL:%s", code, library != NULL ? library : "",
			reason != NULL ? reason : "");
	return n > 0 && (size_t)n < size ? (size_t)n : 0;
}

/* What there is better words for: it happened below TLS; or newer versions say only that it happened to a record. */
static bool is_general(unsigned long code)
{
#ifdef SSL_R_RECORD_LAYER_FAILURE
	if (ERR_GET_REASON(code) == SSL_R_RECORD_LAYER_FAILURE)
		return true;
#endif
	return ERR_GET_LIB(code) != ERR_LIB_SSL;
}

/* A general error is told only where that is all there is. */
void tls_failure_format(char out[TLS_STREAM_FAILURE_SIZE])
{
	static const char begin[] = "TLS_error:";
	static const char end[] = ":TLS_error_end";
	const size_t limit = TLS_STREAM_FAILURE_SIZE - sizeof end;
	size_t length = sizeof begin - 1;
	unsigned long general = 0;
	unsigned long code;

	memcpy(out, begin, sizeof begin);
	while ((code = ERR_get_error()) != 0) {
		if (!is_general(code))
			length += format_one(out + length, limit - length, code);
		else if (general == 0)
			general = code;
	}
	if (length == sizeof begin - 1 && general != 0)
		length += format_one(out + length, limit - length, general);
	if (length == sizeof begin - 1)
		out[0] = '\0';
	else
		memcpy(out + length, end, sizeof end);
}
