/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel holds under weir's name, read back to be compared.
 */
#ifndef WEIR_NFT_STATE_H
#define WEIR_NFT_STATE_H

#include "redirect/base/error.h"
#include "redirect/base/interval.h"
#include "redirect/nft/socket.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Families that tables may have; see nft_state_family_name(). */
#define NFT_STATE_FAMILY_COUNT 6

/* More sets or chains than this are somebody else's: they are counted, not kept. */
#define NFT_STATE_OBJECT_MAX 64

struct nft_state_set {
	struct nlmsghdr *message; /* owned */
	struct interval_list elements; /* sorted, without overlaps */
	bool odd; /* an element that is not a plain bound of an interval, or bounds that make no intervals */
};

/* Messages are copies of the kernel's, to be asked with the functions of attribute.h. */
struct nft_state {
	bool exists; /* the table */
	uint32_t table_flags;
	struct nlmsghdr *chains[NFT_STATE_OBJECT_MAX]; /* owned */
	size_t chain_count;
	struct nft_state_set sets[NFT_STATE_OBJECT_MAX];
	size_t set_count;
	struct nlmsghdr **rules; /* in the kernel's order, of all chains; array and items owned */
	size_t rule_count;
	size_t rule_capacity;
	bool namesakes[NFT_STATE_FAMILY_COUNT]; /* a table of the same name is there, in another family */
	size_t other_count; /* stateful objects, flow tables, and what went beyond the limits */
};

/* Asks whether there is a table `inet weir`, and nothing else. Returns 0 or -errno. */
int nft_state_find_table(struct nft_socket *socket, bool *ret_exists, struct error *e);

/* Asks whether a table of the families ip or ip6 has a chain of that name. Returns 0 or -errno. */
int nft_state_find_foreign_chain(struct nft_socket *socket, const char *table, const char *chain, bool *ret_exists);

/*
 * Reads the table `inet weir` with all that is in it. Returns 0, -EINTR where it changed meanwhile (read again, on a
 * new socket), or -errno. nft_state_free() must be called in any case.
 */
int nft_state_read(struct nft_socket *socket, struct nft_state *ret_state, struct error *e);

/* The family of namesakes[i], as nft calls it. */
const char *nft_state_family_name(size_t i);

/* Frees what was read. */
void nft_state_free(struct nft_state *state);

#endif
