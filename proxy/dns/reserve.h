/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory that c-ares works with. c-ares 1.34 goes on with a connection that it has closed and freed because an answer
 * found no memory. So that a moment without memory does no harm, it gets it from a reserve then.
 */
#ifndef WEIR_PROXY_RESERVE_H
#define WEIR_PROXY_RESERVE_H

#include <stddef.h>

/* Bytes of the reserve: two of the largest answers, as c-ares reads them. What was never used of it is no memory. */
#define RESERVE_SIZE (256u << 10)

/* Makes the reserve; without memory there is none. Once, before the others. */
void reserve_open(void);

/* As malloc(), realloc() and free(), from any thread. The reserve is whole again when nobody has anything of it. */
void *reserve_malloc(size_t size);
void *reserve_realloc(void *memory, size_t size);
void reserve_free(void *memory);

#endif
