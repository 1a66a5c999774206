/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SipHash-1-3 (Aumasson and Bernstein): a hash with a secret key. Whoever chooses what is hashed, here names that an
 * application asks for, cannot choose which of them meet in one bucket.
 */
#ifndef WEIR_PROXY_HASH_H
#define WEIR_PROXY_HASH_H

#include <stddef.h>
#include <stdint.h>

struct hash_key {
	uint64_t words[2];
};

uint64_t hash_bytes(const struct hash_key *key, const void *bytes, size_t length);

#endif
