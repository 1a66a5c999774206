/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From settings to OpenSSL's SSL_CTX. Files are read here, by open() and read(), so that nobody has to guess what
 * OpenSSL would look for: its own configuration file is not read, and no folder of certificates is searched.
 *
 * Whom the system trusts takes a megabyte and some milliseconds to parse: all contexts that want it share one store,
 * for as long as there are any, and a file that has changed makes a new one.
 */
#include "proxy/tls/context.h"

#include "proxy/tls/internal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Bytes of a file of certificates: the system's has a quarter of a megabyte. */
#define FILE_SIZE_MAX (8u << 20)

/* Bytes of a protocol's name (RFC 7301). */
#define ALPN_LENGTH_MAX 255

/* --- files */

/* What passes through here may be a key: nothing of it is left behind. */
static int read_all(int fd, BIO *bio)
{
	char data[4096];
	size_t size = 0;
	ssize_t n;

	do {
		n = read(fd, data, sizeof data);
		if (n < 0)
			n = -errno;
		else if (n > 0 && BIO_write(bio, data, (int)n) != n)
			n = -ENOMEM;
		else if ((size += (size_t)n) > FILE_SIZE_MAX)
			n = -EFBIG;
	} while (n > 0 || n == -EINTR);
	OPENSSL_cleanse(data, sizeof data);
	return (int)n;
}

static int read_open_file(int fd, const char *path, BIO **ret_bio, struct stat *status, struct error *e)
{
	BIO *bio;
	int rc;

	if (fstat(fd, status) < 0)
		return error_set_errno(e, errno, "cannot read %s", path);
	if (!S_ISREG(status->st_mode))
		return error_set(e, EINVAL, "%s is not a file", path);
	bio = BIO_new(BIO_s_mem());
	rc = bio != NULL ? read_all(fd, bio) : -ENOMEM;
	if (rc < 0) {
		BIO_free(bio);
		return error_set_errno(e, -rc, "cannot read %s", path);
	}
	*ret_bio = bio;
	return 0;
}

/* Reads a file into memory that OpenSSL reads from. */
static int read_file(const char *path, BIO **ret_bio, struct stat *ret_status, struct error *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int rc;

	if (fd < 0)
		return error_set_errno(e, errno, "cannot open %s", path);
	rc = read_open_file(fd, path, ret_bio, ret_status, e);
	(void)close(fd);
	return rc;
}

static int refuse(struct error *e, const char *what, const char *path)
{
	const char *reason = ERR_reason_error_string(ERR_peek_error());
	int code = ERR_GET_REASON(ERR_peek_error()) == ERR_R_MALLOC_FAILURE ? ENOMEM : EINVAL;

	code = error_set(e, code, "%s: %s%s%s", path, what, reason != NULL ? ": " : "", reason != NULL ? reason : "");
	ERR_clear_error();
	return code;
}

/* A key with a password cannot be used: nobody is there to be asked. */
static int no_password(char *out, int size, int writing, void *user)
{
	(void)out;
	(void)size;
	(void)writing;
	(void)user;
	return -1;
}

/* The next certificate, or NULL at the end with no error queued. */
static X509 *next_certificate(BIO *bio)
{
	X509 *certificate = PEM_read_bio_X509(bio, NULL, no_password, NULL);

	if (certificate == NULL && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE)
		ERR_clear_error();
	return certificate;
}

/* --- whom to trust */

/* Where distributions keep them: Debian, Fedora, openSUSE, older Fedora, and Alpine. */
static const char *const system_files[] = {
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
	"/etc/ssl/ca-bundle.pem",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/ssl/cert.pem",
};

/* By trying: the proxy's sandbox knows no access(). */
static bool can_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0)
		(void)close(fd);
	return fd >= 0;
}

const char *tls_context_system_file(void)
{
	const char *chosen = getenv("SSL_CERT_FILE");

	if (chosen != NULL && *chosen != '\0')
		return chosen;
	for (size_t i = 0; i < sizeof system_files / sizeof *system_files; i++)
		if (can_open(system_files[i]))
			return system_files[i];
	return NULL;
}

static int fill_store(X509_STORE *store, BIO *bio, const char *path, struct error *e)
{
	X509 *certificate;
	size_t count = 0;

	ERR_clear_error();
	while ((certificate = next_certificate(bio)) != NULL) {
		int added = X509_STORE_add_cert(store, certificate);

		X509_free(certificate);
		if (added != 1)
			return refuse(e, "a certificate cannot be used", path);
		count++;
	}
	if (ERR_peek_error() != 0)
		return refuse(e, "a certificate cannot be read", path);
	return count > 0 ? 0 : error_set(e, EINVAL, "%s: holds no certificate in PEM", path);
}

static int load_store(const char *path, X509_STORE **ret_store, struct stat *ret_status, struct error *e)
{
	X509_STORE *store;
	BIO *bio = NULL;
	int rc = read_file(path, &bio, ret_status, e);

	if (rc < 0)
		return rc;
	store = X509_STORE_new();
	rc = store != NULL ? fill_store(store, bio, path, e) : error_set(e, ENOMEM, "no memory for %s", path);
	BIO_free(bio);
	if (rc < 0)
		X509_STORE_free(store);
	else
		*ret_store = store;
	return rc;
}

/* The store that contexts share, while there are any. */
static struct {
	pthread_mutex_t lock;
	X509_STORE *store;
	struct stat status; /* of the file that it is from */
	size_t users;
} system_trust = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Contexts that have another store keep it alive themselves. */
static int renew_system_trust(const char *path, struct error *e)
{
	struct stat status;
	X509_STORE *store = NULL;
	int rc;

	if (system_trust.store != NULL && stat(path, &status) == 0 && is_same_file(&status, &system_trust.status))
		return 0;
	rc = load_store(path, &store, &status, e);
	if (rc < 0)
		return error_wrap(e, rc, "the system's certificates");
	X509_STORE_free(system_trust.store);
	system_trust.store = store;
	system_trust.status = status;
	system_trust.users = 0;
	return 0;
}

static int trust_system(struct tls_context *context, struct error *e)
{
	const char *path = tls_context_system_file();
	int rc;

	if (path == NULL)
		return error_set(e, ENOENT, "the system has no file of certificates to trust: name one as caCertificates");
	(void)pthread_mutex_lock(&system_trust.lock);
	rc = renew_system_trust(path, e);
	if (rc == 0) {
		context->system = system_trust.store;
		system_trust.users++;
		SSL_CTX_set1_cert_store(context->ctx, context->system);
	}
	(void)pthread_mutex_unlock(&system_trust.lock);
	return rc;
}

static void forget_system(const struct tls_context *context)
{
	(void)pthread_mutex_lock(&system_trust.lock);
	if (context->system != NULL && context->system == system_trust.store && --system_trust.users == 0) {
		X509_STORE_free(system_trust.store);
		system_trust.store = NULL;
	}
	(void)pthread_mutex_unlock(&system_trust.lock);
}

/* As Envoy does, a file that is named may stop at an authority that is not the root. */
static int trust_file(struct tls_context *context, const char *path, struct error *e)
{
	struct stat status;
	X509_STORE *store = NULL;
	int rc = load_store(path, &store, &status, e);

	if (rc < 0)
		return error_wrap(e, rc, "caCertificates");
	(void)X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
	SSL_CTX_set_cert_store(context->ctx, store);
	return 0;
}

static int set_trust(struct tls_context *context, const struct tls_settings *settings, struct error *e)
{
	SSL_CTX_set_verify(context->ctx, settings->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_verify_callback(context->ctx, tls_peer_check, context);
	if (settings->insecure)
		return 0;
	return settings->ca_file != NULL ? trust_file(context, settings->ca_file, e) : trust_system(context, e);
}

/* --- who we are */

static int use_chain(SSL_CTX *ctx, BIO *bio, const char *path, struct error *e)
{
	X509 *certificate;
	size_t count = 0;

	ERR_clear_error();
	for (; (certificate = next_certificate(bio)) != NULL; count++) {
		long used = count == 0 ? SSL_CTX_use_certificate(ctx, certificate)
				       : SSL_CTX_add1_chain_cert(ctx, certificate);

		X509_free(certificate);
		if (used != 1)
			return refuse(e, "a certificate cannot be used", path);
	}
	if (ERR_peek_error() != 0)
		return refuse(e, "a certificate cannot be read", path);
	return count > 0 ? 0 : error_set(e, EINVAL, "%s: holds no certificate in PEM", path);
}

static int set_certificate(SSL_CTX *ctx, const char *path, struct error *e)
{
	struct stat status;
	BIO *bio = NULL;
	int rc = read_file(path, &bio, &status, e);

	if (rc < 0)
		return rc;
	rc = use_chain(ctx, bio, path, e);
	BIO_free(bio);
	return rc;
}

static int set_key(SSL_CTX *ctx, const char *path, struct error *e)
{
	struct stat status;
	EVP_PKEY *key;
	BIO *bio = NULL;
	int rc = read_file(path, &bio, &status, e);

	if (rc < 0)
		return rc;
	ERR_clear_error();
	key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
	if (key == NULL)
		rc = refuse(e, "holds no private key in PEM that can be read without a password", path);
	else if (SSL_CTX_use_PrivateKey(ctx, key) != 1)
		rc = refuse(e, "the key is not the certificate's", path);
	EVP_PKEY_free(key);
	BIO_free(bio);
	return rc;
}

static int set_identity(SSL_CTX *ctx, const struct tls_settings *settings, struct error *e)
{
	int rc;

	if (settings->certificate_file == NULL)
		return 0;
	rc = set_certificate(ctx, settings->certificate_file, e);
	if (rc < 0)
		return error_wrap(e, rc, "clientCertificate");
	rc = set_key(ctx, settings->key_file, e);
	return rc < 0 ? error_wrap(e, rc, "privateKey") : 0;
}

/* --- the rest */

static int check_settings(const struct tls_settings *settings, struct error *e)
{
	if (settings->insecure && (settings->ca_file != NULL || settings->subject_alt_name_count > 0))
		return error_set(e, EINVAL, "cannot specify CaCertificates or CredentialName or SubjectAltNames when "
					    "InsecureSkipVerify is set true");
	if (settings->sni != NULL && tls_name_check(settings->sni, strlen(settings->sni)) < 0)
		return error_set(e, EINVAL, "sni: not a name of DNS");
	if ((settings->certificate_file == NULL) != (settings->key_file == NULL))
		return error_set(e, EINVAL, "%s required for mutual tls",
			settings->key_file == NULL ? "private key" : "client certificate");
	return 0;
}

static int copy_names(struct tls_context *context, const struct tls_settings *settings)
{
	context->insecure = settings->insecure;
	context->sni = settings->sni != NULL ? strdup(settings->sni) : NULL;
	if (settings->sni != NULL && context->sni == NULL)
		return -ENOMEM;
	if (settings->subject_alt_name_count == 0)
		return 0;
	context->subject_alt_names = calloc(settings->subject_alt_name_count, sizeof *context->subject_alt_names);
	if (context->subject_alt_names == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < settings->subject_alt_name_count; i++) {
		context->subject_alt_names[i] = strdup(settings->subject_alt_names[i]);
		if (context->subject_alt_names[i] == NULL)
			return -ENOMEM;
		context->subject_alt_name_count++;
	}
	return 0;
}

static int set_alpn(SSL_CTX *ctx, const char *alpn, struct error *e)
{
	size_t length = alpn != NULL ? strlen(alpn) : 0;
	uint8_t list[1 + ALPN_LENGTH_MAX];

	if (alpn == NULL)
		return 0;
	if (length == 0 || length > ALPN_LENGTH_MAX)
		return error_set(e, EINVAL, "a protocol's name has 1 to %d bytes", ALPN_LENGTH_MAX);
	list[0] = (uint8_t)length;
	memcpy(list + 1, alpn, length);
	return SSL_CTX_set_alpn_protos(ctx, list, (unsigned)length + 1) == 0 ? 0 : -ENOMEM;
}

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
	const struct tls_stream *stream = SSL_get_app_data(ssl);

	tls_session_put(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)), tls_stream_name(stream), session);
	return 1;
}

static int set_protocol(struct tls_context *context)
{
	SSL_CTX *ctx = context->ctx;

	if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 || SSL_CTX_set_app_data(ctx, context) != 1)
		return -ENOMEM;
	/* A server that wants to negotiate anew is told no. */
	(void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	(void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	(void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, keep_session);
	return 0;
}

static int fill(struct tls_context *context, const struct tls_settings *settings, struct error *e)
{
	int rc = check_settings(settings, e);

	if (rc < 0)
		return rc;
	context->ctx = SSL_CTX_new(TLS_client_method());
	if (context->ctx == NULL || copy_names(context, settings) < 0 || set_protocol(context) < 0)
		return error_set(e, ENOMEM, "no memory for TLS");
	rc = set_alpn(context->ctx, settings->alpn, e);
	if (rc == 0)
		rc = set_trust(context, settings, e);
	if (rc == 0)
		rc = set_identity(context->ctx, settings, e);
	return rc;
}

static void free_context(struct tls_context *context)
{
	forget_system(context);
	for (size_t i = 0; i < TLS_CONTEXT_SESSIONS; i++) {
		SSL_SESSION_free(context->sessions[i].session);
		free(context->sessions[i].name);
	}
	SSL_CTX_free(context->ctx);
	for (size_t i = 0; i < context->subject_alt_name_count; i++)
		free(context->subject_alt_names[i]);
	free(context->subject_alt_names);
	free(context->sni);
	(void)pthread_mutex_destroy(&context->lock);
	free(context);
}

int tls_context_new(const struct tls_settings *settings, struct tls_context **ret_context, struct error *e)
{
	struct tls_context *context;
	int rc;

	/* No configuration file; and what OpenSSL has at the exit of the process, the kernel takes back. */
	if (OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL) != 1)
		return error_set(e, ENOMEM, "OpenSSL cannot be initialised");
	context = calloc(1, sizeof *context);
	if (context == NULL)
		return error_set(e, ENOMEM, "no memory for TLS");
	atomic_init(&context->references, 1);
	(void)pthread_mutex_init(&context->lock, NULL);
	rc = fill(context, settings, e);
	if (rc < 0)
		free_context(context);
	else
		*ret_context = context;
	return rc;
}

struct tls_context *tls_context_ref(struct tls_context *context)
{
	(void)atomic_fetch_add_explicit(&context->references, 1, memory_order_relaxed);
	return context;
}

void tls_context_unref(struct tls_context *context)
{
	if (context != NULL && atomic_fetch_sub_explicit(&context->references, 1, memory_order_acq_rel) == 1)
		free_context(context);
}
