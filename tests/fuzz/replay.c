/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target over its corpus, tests/fuzz/corpus/NAME for NAME_fuzz. One line of TAP: what is wrong with an input
 * ends the program.
 */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

#define INPUT_SIZE_MAX (1u << 20)
#define PATH_SIZE 4096

static void run_file(const char *path)
{
	static uint8_t data[INPUT_SIZE_MAX];
	FILE *file = fopen(path, "rb");
	uint8_t *exact;
	size_t size;

	if (file == NULL) {
		printf("Bail out! %s: %s\n", path, strerror(errno));
		exit(1);
	}
	size = fread(data, 1, sizeof data, file);
	(void)fclose(file);
	/* In memory of its own size, so that a sanitizer sees a byte read behind it. */
	exact = malloc(size > 0 ? size : 1);
	if (exact == NULL)
		abort();
	memcpy(exact, data, size);
	(void)LLVMFuzzerTestOneInput(exact, size);
	free(exact);
}

int main(int argc, char *argv[])
{
	const char *name = strrchr(argv[0], '/') != NULL ? strrchr(argv[0], '/') + 1 : argv[0];
	size_t length = strlen(name) - strlen("_fuzz");
	const struct dirent *entry;
	char path[PATH_SIZE];
	size_t count = 0;
	DIR *folder;

	(void)argc;
	(void)snprintf(path, sizeof path, "tests/fuzz/corpus/%.*s", (int)length, name);
	folder = opendir(path);
	printf("1..1\n");
	while (folder != NULL && (entry = readdir(folder)) != NULL) {
		char file[2 * PATH_SIZE];

		if (entry->d_name[0] == '.')
			continue;
		(void)snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
		run_file(file);
		count++;
	}
	if (folder != NULL)
		(void)closedir(folder);
	printf("%s 1 - %zu inputs of %s\n", count > 0 ? "ok" : "not ok", count, path);
	return count > 0 ? 0 : 1;
}
