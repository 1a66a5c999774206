/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/dns/wanted.h"

#include "proxy/dns/name.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* How many names there are, and what the texts of the first `max` take. */
static size_t count_names(const char *const *names, size_t count, size_t max, size_t *ret_size)
{
	char normal[NAME_SIZE];
	size_t good = 0;

	*ret_size = 0;
	for (size_t i = 0; i < count; i++) {
		int length = name_normalize(names[i], normal);

		if (length >= 0 && good++ < max)
			*ret_size += (size_t)length + 1;
	}
	return good;
}

int wanted_new(const char *const *names, size_t count, size_t max, struct wanted **ret_wanted, struct error *e)
{
	size_t size;
	size_t good = count_names(names, count, max, &size);
	struct wanted *wanted = malloc(sizeof *wanted + size);
	char *next;

	if (wanted == NULL)
		return error_set(e, ENOMEM, "no memory for %zu names to resolve", count);
	wanted->count = 0;
	next = wanted->names;
	for (size_t i = 0; wanted->count < good && wanted->count < max; i++) {
		char normal[NAME_SIZE];
		int length = name_normalize(names[i], normal);

		if (length < 0)
			continue;
		memcpy(next, normal, (size_t)length + 1);
		next += length + 1;
		wanted->count++;
	}
	*ret_wanted = wanted;
	if (good <= max)
		return 0;
	(void)error_set(e, E2BIG, "%zu names to resolve are more than the %zu that are possible; the first ones are",
		good, max);
	return 1;
}
