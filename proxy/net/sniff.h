/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names a connection by its client's first bytes, as they pass. Nothing is held back, and nothing is waited for.
 */
#ifndef WEIR_PROXY_SNIFF_H
#define WEIR_PROXY_SNIFF_H

#include "proxy/log/facts.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* First bytes that are kept, at most, until they can be told. */
#define SNIFF_SIZE_MAX (80u << 10)

enum sniff_result {
	SNIFF_NOT,   /* it is something else */
	SNIFF_MORE,  /* it may be, more bytes are needed */
	SNIFF_MATCH, /* it is */
};

/* The first bytes so far; nothing is allocated where one read brings enough. */
struct sniff {
	uint8_t *data; /* owned */
	uint32_t size;
	uint32_t capacity;
	uint32_t wanted; /* with fewer bytes it is no use to look again */
	bool done;
};

/* Looks at more bytes of the client's. Once it is `done`, the facts know as much as there is to know. */
void sniff_feed(struct sniff *sniff, const uint8_t *data, size_t size, struct facts *facts);

/* Ends the search, with what the bytes so far tell of a message whose end is missing, and frees them. */
void sniff_end(struct sniff *sniff, struct facts *facts);

#endif
