/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolve RESOLV_CONF - a resolver for tests/netns/resolver.py, which tells it on stdin what to do, a line each:
 *
 *     want REFRESH_RATE GUARD NAME...   the settings, and the policy's names     -> "ok", or an error's text
 *     servers RESOLV_CONF               whom to ask from now on                  -> "ok", or an error's text
 *     find NAME                         what is known of it                      -> an answer, or "unknown"
 *     at ADDRESS                        which names resolve to it                -> names, sorted
 *     lookup NAME                       wait for it                              -> "now" and an answer, "wait", "invalid"
 *     cancel NAME                       a wait for it                            -> "ok"
 *
 * Each gets one line. A wait that is over is told by a line of its own: "done NAME" and an answer or "nothing". An answer
 * is "STATE ERROR ADDRESS... | RECENT..." with - for no error.
 */
#include "proxy/dns/resolver.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORD_MAX 50000
#define FOUND_MAX 64
#define WAIT_MAX 10000

struct wait_for {
	struct resolver_wait wait; /* first */
	size_t place;              /* in `waits` */
	char *name;
};
static struct wait_for *waits[WAIT_MAX];
static size_t wait_count;

static struct resolver *resolver;
static struct resolver_client client;

static void die(const char *what)
{
	(void)fprintf(stderr, "resolve: %s\n", what);
	exit(1);
}

static void print_answer(const struct answer *answer)
{
	static const char *const states[] = {"none", "good", "stale", "failed"};
	char text[ADDRESS_TEXT_SIZE];

	(void)printf("%s %s", states[answer->state], answer->error == ANSWER_OK ? "-" : answer_error_text(answer->error));
	for (size_t i = 0; i < answer->count; i++)
		(void)printf(" %s", address_format(text, &answer->addresses[i]));
	(void)printf(" |");
	for (size_t i = 0; i < answer->recent_count; i++)
		(void)printf(" %s", address_format(text, &answer->addresses[answer->count + i]));
	answer_unref(answer);
}

static void do_want(char **words, size_t count)
{
	struct resolver_settings settings = {.refresh_rate = RESOLVER_REFRESH_RATE};
	struct error e;

	if (count < 3)
		die("want what?");
	settings.refresh_rate = strtol(words[1], NULL, 10);
	settings.refuse_private = strcmp(words[2], "guard") == 0;
	if (resolver_configure(resolver, &settings, (const char *const *)words + 3, count - 3, &e) != 0)
		(void)printf("%s", e.text);
	else
		(void)printf("ok");
}

/* What a file says of servers; what of it is not taken goes to stderr. */
static struct servers read_servers(const char *path)
{
	static char text[1 << 16];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = read(fd, text, sizeof text);
	struct servers servers;
	struct error e;

	if (length < 0)
		die("cannot read the servers");
	(void)close(fd);
	if (servers_read(text, (size_t)length, &servers, &e) > 0)
		(void)fprintf(stderr, "%s\n", e.text);
	return servers;
}

static void do_servers(const char *path)
{
	const struct servers servers = read_servers(path);
	struct error e;

	(void)printf("%s", resolver_set_servers(resolver, &servers, &e) < 0 ? e.text : "ok");
}

static void do_find(const char *name)
{
	const struct answer *answer = resolver_find(resolver, name);

	if (answer == NULL)
		(void)printf("unknown");
	else
		print_answer(answer);
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void do_at(const char *text)
{
	const struct answer *found[FOUND_MAX];
	const char *names[FOUND_MAX];
	struct address address;
	size_t count;

	if (address_parse(text, strlen(text), &address) < 0)
		die("not an address");
	count = resolver_find_names(resolver, &address, found, FOUND_MAX);
	for (size_t i = 0; i < count; i++)
		names[i] = answer_name(found[i]);
	qsort(names, count, sizeof *names, compare);
	for (size_t i = 0; i < count; i++)
		(void)printf("%s%s", i > 0 ? " " : "", names[i]);
	for (size_t i = 0; i < count; i++)
		answer_unref(found[i]);
}

static void do_lookup(const char *name)
{
	struct wait_for *one = calloc(1, sizeof *one);
	int rc;

	if (one == NULL || (one->name = strdup(name)) == NULL || wait_count == WAIT_MAX)
		die("no memory");
	rc = resolver_lookup(resolver, &client, &one->wait, one->name);
	if (rc == 1) {
		one->place = wait_count;
		waits[wait_count++] = one;
		(void)printf("wait");
		return;
	}
	(void)printf("%s", rc == 0 ? "now " : "invalid");
	if (rc == 0)
		print_answer(one->wait.answer);
	free(one->name);
	free(one);
}

static void forget(struct wait_for *one)
{
	waits[one->place] = waits[--wait_count];
	waits[one->place]->place = one->place;
	free(one->name);
	free(one);
}

static void do_cancel(const char *name)
{
	size_t i = 0;

	while (i < wait_count && strcmp(waits[i]->name, name) != 0)
		i++;
	if (i == wait_count)
		die("no such wait");
	resolver_cancel(resolver, &waits[i]->wait);
	forget(waits[i]);
	(void)printf("ok");
}

static void take_done(void)
{
	struct resolver_wait *wait;

	while ((wait = resolver_client_next(resolver, &client)) != NULL) {
		struct wait_for *one = (struct wait_for *)wait;

		(void)printf("done %s ", one->name);
		if (wait->answer == NULL)
			(void)printf("nothing");
		else
			print_answer(wait->answer);
		(void)printf("\n");
		forget(one);
	}
}

static void do_line(char *line)
{
	static char *words[WORD_MAX];
	size_t count = 0;
	char *rest = line;
	char *word;

	while ((word = strtok_r(count == 0 ? rest : NULL, " \n", &rest)) != NULL && count < WORD_MAX)
		words[count++] = word;
	if (count < 2)
		die("a line without words");
	if (strcmp(words[0], "want") == 0)
		do_want(words, count);
	else if (strcmp(words[0], "servers") == 0)
		do_servers(words[1]);
	else if (strcmp(words[0], "find") == 0)
		do_find(words[1]);
	else if (strcmp(words[0], "at") == 0)
		do_at(words[1]);
	else if (strcmp(words[0], "lookup") == 0)
		do_lookup(words[1]);
	else if (strcmp(words[0], "cancel") == 0)
		do_cancel(words[1]);
	else
		die("unknown command");
	(void)printf("\n");
}

static void *run(void *argument)
{
	(void)argument;
	resolver_run(resolver);
	return NULL;
}

/* Commands until the end of stdin, and what becomes of the waits. */
static void converse(void)
{
	struct pollfd polled[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = client.wake, .events = POLLIN}};
	static char input[4 << 20];
	size_t used = 0;
	char *end;

	for (;;) {
		ssize_t n;

		if (poll(polled, 2, -1) < 0)
			die("cannot poll");
		if (polled[1].revents != 0)
			take_done();
		if (polled[0].revents != 0) {
			n = read(STDIN_FILENO, input + used, sizeof input - 1 - used);
			if (n <= 0)
				return;
			used += (size_t)n;
			while ((end = memchr(input, '\n', used)) != NULL) {
				*end = '\0';
				do_line(input);
				used -= (size_t)(end + 1 - input);
				memmove(input, end + 1, used);
			}
		}
		(void)fflush(stdout);
	}
}

int main(int argc, char *argv[])
{
	const struct resolver_settings settings = {.refresh_rate = RESOLVER_REFRESH_RATE};
	struct servers servers;
	struct error e;
	pthread_t thread;

	if (argc != 2)
		die("give a resolv.conf");
	servers = read_servers(argv[1]);
	if (resolver_open(&servers, &settings, &resolver, &e) < 0 || resolver_client_init(&client, &e) < 0)
		die(e.text);
	if (pthread_create(&thread, NULL, run, NULL) != 0)
		die("cannot start a thread");
	converse();
	resolver_stop(resolver);
	(void)pthread_join(thread, NULL);
	resolver_free(resolver);
	while (wait_count > 0)
		forget(waits[wait_count - 1]);
	resolver_client_free(&client);
	return 0;
}
