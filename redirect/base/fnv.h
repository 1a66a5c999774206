/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FNV-1a, to tell apart what nobody chooses against us: contents of files, names of a policy's own.
 */
#ifndef WEIR_FNV_H
#define WEIR_FNV_H

#include <stddef.h>
#include <stdint.h>

/* The hash of nothing. */
#define FNV_START UINT64_C(14695981039346656037)

/* Adds bytes to a hash. */
static inline uint64_t fnv_add(uint64_t hash, const void *data, size_t size)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
	return hash;
}

#endif
