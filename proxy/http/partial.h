/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A head that comes in several reads, gathered.
 *
 * It is looked at when its end may be there, when it has doubled, or when there is no room for more: so one that comes
 * byte by byte costs no more than a few that come whole, and one that goes wrong is seen long before it ends.
 */
#ifndef WEIR_PROXY_HTTP_PARTIAL_H
#define WEIR_PROXY_HTTP_PARTIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_partial {
	char *data; /* owned; NULL: nothing has come */
	uint32_t size;
	uint32_t capacity;
	uint32_t tried; /* bytes at which it was last looked at */
};

/*
 * Appends bytes, up to `most` in all. Returns 0, with how many of them and whether it is worth a look, or -ENOMEM.
 */
int http_partial_add(struct http_partial *partial, const char *data, size_t size, size_t most, size_t *ret_added,
	bool *ret_worth);

/* Frees it. */
void http_partial_forget(struct http_partial *partial);

#endif
