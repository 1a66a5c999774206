/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS streams over a socket, to a real `openssl s_server` and to servers that misbehave, in a network namespace of its
 * own. The client can do what a running proxy can, and no more: it is inside its sandbox.
 */
#include "proxy/net/sandbox.h"
#include "proxy/tls/context.h"
#include "proxy/tls/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define NAME "server.example"
#define USER 1337
#define PORT 4433
#define PAGE_SIZE 3000000
#define RECEIVED_SIZE (PAGE_SIZE + 4096)

static char folder[] = "/tmp/weir-tls-XXXXXX";

/* What a client has seen; shared with the process that it is. */
struct result {
	enum tls_state state;
	int error; /* of the socket: 0 is an orderly end */
	size_t size;
	char failure[TLS_STREAM_FAILURE_SIZE];
	char text[RECEIVED_SIZE];
};

static struct result *result;

/* --- the client */

static int dial(void)
{
	const struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof to) < 0)
		_exit(98);
	return fd;
}

/* A server that has gone is noticed by reading. */
static void send_all(int fd, const struct tls_output *out)
{
	for (size_t done = 0; done < out->size;) {
		ssize_t n = send(fd, out->data + done, out->size - done, MSG_NOSIGNAL);

		if (n < 0)
			return;
		done += (size_t)n;
	}
}

/* Asks once it may, and reads to the end. */
static void talk(struct tls_stream *stream, int fd, const char *request)
{
	static uint8_t in[65536];
	static uint8_t out[65536];
	struct tls_input ask = {.data = (const uint8_t *)request, .size = strlen(request)};
	struct tls_input wire = {.data = in};
	struct tls_output plain = {.data = (uint8_t *)result->text, .capacity = sizeof result->text - 1};
	ssize_t n = 1;

	while (n > 0 && result->state != TLS_ENDED && result->state != TLS_FAILED) {
		struct tls_output to_wire = {.data = out, .capacity = sizeof out};

		result->state = tls_stream_feed(stream, &wire, &plain, &to_wire);
		if (result->state == TLS_OPEN)
			(void)tls_stream_write(stream, &ask, &to_wire);
		send_all(fd, &to_wire);
		if (result->state == TLS_ENDED || result->state == TLS_FAILED)
			break;
		n = recv(fd, in, sizeof in, 0);
		result->error = n < 0 ? errno : 0;
		wire = (struct tls_input){.data = in, .size = n > 0 ? (size_t)n : 0};
	}
	result->size = plain.size;
	(void)snprintf(result->failure, sizeof result->failure, "%s", tls_stream_failure(stream));
}

static void be_client(const struct tls_settings *settings, const char *request)
{
	struct tls_context *context;
	struct tls_stream *stream;
	struct error e = {.text = "no stream"};
	int fd;

	if (tls_context_new(settings, &context, &e) < 0 || sandbox_drop(true, USER, USER, &e) < 0 ||
		sandbox_paths(&(struct sandbox_files){.log = ""}, &e) < 0 || sandbox_calls(&e) < 0 || tls_stream_new(context, NAME, &stream) < 0) {
		(void)fprintf(stderr, "%s\n", e.text);
		_exit(99);
	}
	fd = dial();
	talk(stream, fd, request);
	tls_stream_free(stream);
	tls_context_unref(context);
	(void)close(fd);
}

static void run_client(const struct tls_settings *settings, const char *request)
{
	int status;
	pid_t pid;

	memset(result, 0, sizeof *result);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		be_client(settings, request);
		exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* --- the servers */

struct server {
	pid_t pid;
	FILE *output;
};

static struct server start(const char *options)
{
	struct server server;
	char command[512];
	char line[256] = "";
	int ends[2];

	(void)snprintf(command, sizeof command,
		"exec openssl s_server -accept 127.0.0.1:%d -cert server.pem -key server.key %s", PORT, options);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	server.pid = fork();
	assert_true(server.pid >= 0);
	if (server.pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)dup2(ends[1], STDOUT_FILENO);
		(void)execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	(void)close(ends[1]);
	server.output = fdopen(ends[0], "r");
	assert_non_null(server.output);
	while (strncmp(line, "ACCEPT", 6) != 0)
		assert_non_null(fgets(line, sizeof line, server.output));
	return server;
}

static void stop(struct server *server)
{
	(void)kill(server->pid, SIGKILL);
	(void)waitpid(server->pid, NULL, 0);
	(void)fclose(server->output);
}

/* Listens before it returns; a process of its own accepts one, waits for the hello, says `text` and goes. */
static pid_t start_plain(const char *text, bool resets)
{
	const struct sockaddr_in at = {
		.sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const struct linger at_once = {.l_onoff = 1};
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char byte;
	int on = 1;
	pid_t pid;
	int fd;

	assert_int_equal(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
	assert_int_equal(bind(listener, (const struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(listen(listener, 1), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		fd = accept(listener, NULL, NULL);
		(void)recv(fd, &byte, 1, 0);
		(void)send(fd, text, strlen(text), MSG_NOSIGNAL);
		if (resets)
			(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
		else
			(void)shutdown(fd, SHUT_WR);
		while (!resets && recv(fd, &byte, 1, 0) > 0)
			;
		_exit(0);
	}
	(void)close(listener);
	return pid;
}

/* --- tests */

static const struct tls_settings trusting = {.ca_file = "ours.pem"};

static void test_versions(void **state)
{
	static const char *const options[] = {"-www -tls1_2", "-www -tls1_3"};
	static const char *const names[] = {"TLSv1.2", "TLSv1.3"};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct server server = start(options[i]);

		run_client(&trusting, "GET / HTTP/1.0\r\n\r\n");
		stop(&server);
		assert_int_equal(result->state, TLS_ENDED);
		assert_non_null(strstr(result->text, "HTTP/1.0 200 ok"));
		assert_non_null(strstr(result->text, names[i]));
	}
}

static void test_page(void **state)
{
	struct server server = start("-HTTP");

	(void)state;
	run_client(&trusting, "GET /page HTTP/1.0\r\n\r\n");
	stop(&server);
	assert_int_equal(result->state, TLS_ENDED);
	assert_true(result->size >= PAGE_SIZE);
	for (size_t i = 0; i < PAGE_SIZE; i++)
		assert_int_equal(result->text[result->size - PAGE_SIZE + i], 'a' + i % 23);
}

static void check_failure(const char *options, const struct tls_settings *settings, const char *failure)
{
	struct server server = start(options);

	run_client(settings, "GET / HTTP/1.0\r\n\r\n");
	stop(&server);
	assert_int_equal(result->state, TLS_FAILED);
	assert_string_equal(result->failure, failure);
	assert_int_equal(result->size, 0);
}

static void test_refused(void **state)
{
	static const char verify[] =
		"TLS_error:|268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:TLS_error_end";
	static const char required[] =
		"TLS_error:|268436572:SSL routines:OPENSSL_internal:TLSV1_ALERT_CERTIFICATE_REQUIRED:TLS_error_end";
	static const char version[] =
		"TLS_error:|268436526:SSL routines:OPENSSL_internal:TLSV1_ALERT_PROTOCOL_VERSION:TLS_error_end";
	const struct tls_settings other = {.ca_file = "other.pem"};
	const struct tls_settings elsewhere = {.ca_file = "ours.pem", .sni = "elsewhere.example"};

	(void)state;
	check_failure("-www", &other, verify);
	check_failure("-www", &elsewhere, verify);
	check_failure("-www -cert expired.pem -key expired.key", &trusting, verify);
	check_failure("-www -tls1_3 -Verify 1 -verify_return_error -CAfile ours.pem", &trusting, required);
	check_failure("-www -tls1_1 -cipher ALL@SECLEVEL=0", &trusting, version);
}

static void test_client_certificate(void **state)
{
	const struct tls_settings mutual = {
		.ca_file = "ours.pem", .certificate_file = "client.pem", .key_file = "client.key"};
	struct server server = start("-www -Verify 1 -verify_return_error -CAfile ours.pem");

	(void)state;
	run_client(&mutual, "GET / HTTP/1.0\r\n\r\n");
	stop(&server);
	assert_int_equal(result->state, TLS_ENDED);
	assert_non_null(strstr(result->text, "Client certificate"));
	assert_null(strstr(result->text, "no client certificate"));
}

static void test_no_tls(void **state)
{
	pid_t pid = start_plain("220 mail.example ESMTP\r\n", false);

	(void)state;
	run_client(&trusting, "");
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(result->state, TLS_FAILED);
	assert_string_equal(result->failure,
		"TLS_error:|268435703:SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER:TLS_error_end");
}

/* The stream has no opinion on what the socket says of its end. */
static void test_cut_off(void **state)
{
	pid_t pid = start_plain("", true);

	(void)state;
	run_client(&trusting, "");
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(result->state, TLS_HANDSHAKE);
	assert_int_equal(result->error, ECONNRESET);
	assert_string_equal(result->failure, "");
	pid = start_plain("\x16\x03", false);
	run_client(&trusting, "");
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(result->state, TLS_HANDSHAKE);
	assert_int_equal(result->error, 0);
	assert_string_equal(result->failure, "");
}

/* --- the place */

static void raise_loopback(void)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int fd;

	assert_int_equal(unshare(CLONE_NEWNET), 0);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &request), 0);
	(void)close(fd);
}

static void write_page(void)
{
	FILE *file = fopen("page", "we");

	assert_non_null(file);
	for (size_t i = 0; i < PAGE_SIZE; i++)
		assert_true(putc('a' + (int)(i % 23), file) != EOF);
	assert_int_equal(fclose(file), 0);
}

static int make_place(void **state)
{
	char command[256];

	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	(void)snprintf(command, sizeof command, "tests/unit/tls/certificates %s", folder);
	if (system(command) != 0 || chdir(folder) < 0) /* NOLINT(cert-env33-c): a script of the tests */
		return -1;
	raise_loopback();
	write_page();
	result = mmap(NULL, sizeof *result, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return result != MAP_FAILED ? 0 : -1;
}

static int remove_place(void **state)
{
	char command[256];

	(void)state;
	(void)munmap(result, sizeof *result);
	(void)snprintf(command, sizeof command, "rm -r %s", folder);
	return chdir("/") < 0 ? -1 : system(command); /* NOLINT(cert-env33-c): a folder of the test */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_page),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_client_certificate),
		cmocka_unit_test(test_no_tls),
		cmocka_unit_test(test_cut_off),
	};

	return cmocka_run_group_tests(tests, make_place, remove_place);
}
