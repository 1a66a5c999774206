/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of closed intervals over keys of a fixed size: IP addresses, ports, user and group IDs, interface names.
 *
 * A key is a string of bytes in network order, so that one comparison, one merge and one netlink encoder serve all
 * of them, and the list is what an nftables interval set wants: sorted and without overlaps (the kernel
 * refuses them, and leaves merging to user space).
 */
#ifndef WEIR_INTERVAL_H
#define WEIR_INTERVAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest key: an IPv6 address, or an interface name with its padding. */
#define INTERVAL_KEY_MAX 16

/* Intervals that one list may hold: ten times what the largest published cloud range lists need. */
#define INTERVAL_COUNT_MAX (1u << 20)

struct interval {
	uint8_t first[INTERVAL_KEY_MAX]; /* the first key_size bytes count, the others are zero */
	uint8_t last[INTERVAL_KEY_MAX];
};

struct interval_list {
	struct interval *items; /* owned; NULL when empty */
	size_t count;
	size_t capacity;
	size_t key_size; /* bytes, 1 to INTERVAL_KEY_MAX */
	bool keep_apart; /* neighbours that touch but do not overlap are not joined: of names, no union can be written */
};

/* Makes an empty list for keys of `key_size` bytes. Allocates nothing. */
void interval_list_init(struct interval_list *list, size_t key_size);

/* Frees the items and leaves an empty list. */
void interval_list_free(struct interval_list *list);

/*
 * Appends the interval from `first` to `last`, both included, each key_size bytes long; first must not be behind last.
 * Returns 0, -ENOMEM, or -E2BIG beyond INTERVAL_COUNT_MAX.
 */
int interval_list_add(struct interval_list *list, const uint8_t *first, const uint8_t *last);

/* Appends an interval of two host-order numbers, for key_size 2 or 4. Returns as interval_list_add. */
int interval_list_add_numbers(struct interval_list *list, uint32_t first, uint32_t last);

/* Sorts the list and merges what overlaps, and what touches unless keep_apart is set. */
void interval_list_merge(struct interval_list *list);

/* Whether two merged lists hold the same intervals. */
bool interval_list_equal(const struct interval_list *a, const struct interval_list *b);

/* The interval of a merged list that holds the key, or NULL. */
const struct interval *interval_list_find(const struct interval_list *list, const uint8_t *key);

/* Adds one to a key. Returns false when it was the highest key; it is then left alone. */
bool interval_key_next(uint8_t *key, size_t key_size);

/* Subtracts one from a key. Returns false when it was zero; it is then left alone. */
bool interval_key_previous(uint8_t *key, size_t key_size);

#endif
