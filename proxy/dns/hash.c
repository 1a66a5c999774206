/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/dns/hash.h"

#include <endian.h>
#include <string.h>

static uint64_t rotate(uint64_t word, unsigned bits)
{
	return word << bits | word >> (64 - bits);
}

static void mix(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] = rotate(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] = rotate(v[2], 32);
}

static void take(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	mix(v);
	v[0] ^= word;
}

uint64_t hash_bytes(const struct hash_key *key, const void *bytes, size_t length)
{
	uint64_t v[4] = {key->words[0] ^ 0x736f6d6570736575, key->words[1] ^ 0x646f72616e646f6d,
		key->words[0] ^ 0x6c7967656e657261, key->words[1] ^ 0x7465646279746573};
	const uint8_t *next = bytes;
	uint64_t word;

	for (size_t left = length; left >= sizeof word; left -= sizeof word, next += sizeof word) {
		memcpy(&word, next, sizeof word);
		take(v, le64toh(word));
	}
	word = 0;
	memcpy(&word, next, length % sizeof word);
	take(v, le64toh(word) | (uint64_t)length << 56);
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		mix(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
