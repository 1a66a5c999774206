/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/dns/wanted.h"

#include "proxy/dns/name.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int check_names(const char *const *names, size_t count, size_t *ret_size, struct error *e)
{
	char quoted[ERROR_QUOTE_SIZE];
	char normal[NAME_SIZE];
	size_t size = 0;

	for (size_t i = 0; i < count; i++) {
		int length = name_normalize(names[i], normal);

		if (length < 0)
			return error_set(e, EINVAL, "%s is not a name that DNS can be asked for",
				error_quote(quoted, names[i], strlen(names[i])));
		size += (size_t)length + 1;
	}
	*ret_size = size;
	return 0;
}

int wanted_new(const char *const *names, size_t count, size_t max, struct wanted **ret_wanted, struct error *e)
{
	struct wanted *wanted;
	size_t size = 0;
	char *next;
	int rc;

	if (count > max)
		return error_set(e, E2BIG, "%zu names to resolve are more than the %zu that are possible", count, max);
	rc = check_names(names, count, &size, e);
	if (rc < 0)
		return rc;
	wanted = malloc(sizeof *wanted + size);
	if (wanted == NULL)
		return error_set(e, ENOMEM, "no memory for %zu names to resolve", count);
	wanted->count = count;
	next = wanted->names;
	for (size_t i = 0; i < count; i++) {
		char normal[NAME_SIZE];
		size_t name_size = (size_t)name_normalize(names[i], normal) + 1;

		memcpy(next, normal, name_size);
		next += name_size;
	}
	*ret_wanted = wanted;
	return 0;
}
