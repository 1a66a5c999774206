/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log's file, and others in its place, with the writing thread at work.
 */
#include "proxy/log/sink.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define PATH_SIZE 128

static char folder[PATH_SIZE];
static char one[PATH_SIZE];
static char two[PATH_SIZE];
static struct sink sink;
static pthread_t writer;

static int make_folder(void **state)
{
	(void)state;
	(void)snprintf(folder, sizeof folder, "/tmp/weir-sink-XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	(void)snprintf(one, sizeof one, "%.100s/one", folder);
	(void)snprintf(two, sizeof two, "%.100s/two", folder);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	(void)unlink(one);
	(void)unlink(two);
	return rmdir(folder);
}

static void *run(void *argument)
{
	sink_run(argument);
	return NULL;
}

static void begin(const char *path)
{
	sink_init(&sink);
	assert_int_equal(sink_open(&sink, path, 1, NULL), 0);
	assert_int_equal(pthread_create(&writer, NULL, run, &sink), 0);
}

static void finish(void)
{
	sink_stop(&sink);
	(void)pthread_join(writer, NULL);
	sink_free(&sink);
}

static void add(const char *line)
{
	sink_add(&sink, 0, line, strlen(line));
}

static void expect_file(const char *path, const char *expected)
{
	char text[256];
	FILE *file = fopen(path, "r");
	size_t size;

	assert_non_null(file);
	size = fread(text, 1, sizeof text - 1, file);
	(void)fclose(file);
	text[size] = '\0';
	assert_string_equal(text, expected);
}

/* Waits until so much has been written to a file. */
static void wait_for_size(const char *path, off_t size)
{
	struct stat there;

	do {
		assert_int_equal(stat(path, &there), 0);
		(void)sched_yield();
	} while (there.st_size < size);
}

static void another_file(void **state)
{
	(void)state;
	begin(one);
	add("a\n");
	wait_for_size(one, 2);
	assert_int_equal(sink_reopen(&sink, two, NULL), 0);
	add("b\n");
	wait_for_size(two, 2);
	/* The same once more: rotated away, and made anew. */
	assert_int_equal(unlink(two), 0);
	assert_int_equal(sink_reopen(&sink, NULL, NULL), 0);
	add("c\n");
	finish();
	expect_file(one, "a\n");
	expect_file(two, "c\n");
}

static void off_and_on(void **state)
{
	(void)state;
	(void)unlink(one);
	(void)unlink(two);
	begin(one);
	add("a\n");
	/* What is queued is written, and nothing behind it. */
	assert_int_equal(sink_reopen(&sink, "", NULL), 0);
	add("b\n");
	wait_for_size(one, 2);
	assert_int_equal(sink_reopen(&sink, NULL, NULL), 0);
	assert_int_equal(sink_reopen(&sink, two, NULL), 0);
	add("c\n");
	assert_int_equal(sink_reopen(&sink, "", NULL), 0);
	assert_int_equal(sink_dropped(&sink), 0);
	finish();
	expect_file(one, "a\n");
	expect_file(two, "c\n");
}

static void off_from_the_beginning(void **state)
{
	(void)state;
	(void)unlink(one);
	begin("");
	add("a\n");
	assert_int_equal(sink_reopen(&sink, one, NULL), 0);
	add("b\n");
	finish();
	expect_file(one, "b\n");
}

static void a_path_that_cannot_be(void **state)
{
	struct error e = {.text = ""};

	(void)state;
	(void)unlink(one);
	begin(one);
	assert_true(sink_reopen(&sink, "/nowhere/at/all", &e) < 0);
	assert_string_equal(e.text,
		"cannot open the access log /nowhere/at/all, and go on with the old one: No such file or directory");
	add("a\n");
	/* And the old path is still the one that is opened anew. */
	assert_int_equal(sink_reopen(&sink, NULL, NULL), 0);
	finish();
	expect_file(one, "a\n");
}

static void to_stdout_and_back(void **state)
{
	int kept = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	int file = open(two, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);

	(void)state;
	(void)unlink(one);
	(void)fflush(stdout);
	assert_true(kept >= 0 && file >= 0);
	assert_true(dup2(file, STDOUT_FILENO) >= 0);
	begin(one);
	assert_true(dup2(kept, STDOUT_FILENO) >= 0);
	(void)close(file);
	(void)close(kept);
	/* It is stdout as it was at the beginning. */
	assert_int_equal(sink_reopen(&sink, "/dev/stdout", NULL), 0);
	add("a\n");
	wait_for_size(two, 2);
	assert_int_equal(sink_reopen(&sink, one, NULL), 0);
	add("b\n");
	finish();
	expect_file(one, "b\n");
	expect_file(two, "a\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(another_file),
		cmocka_unit_test(off_and_on),
		cmocka_unit_test(off_from_the_beginning),
		cmocka_unit_test(a_path_that_cannot_be),
		cmocka_unit_test(to_stdout_and_back),
	};

	return cmocka_run_group_tests_name("sink", tests, make_folder, remove_folder);
}
