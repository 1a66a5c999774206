/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What differs between the rules asked for and those in the kernel, told one by one.
 */
#ifndef WEIR_NFT_DIFFERENCE_H
#define WEIR_NFT_DIFFERENCE_H

#include <stddef.h>

/* Bytes of a difference in words with its NUL. */
#define NFT_DIFFERENCE_SIZE 320

enum nft_change {
	NFT_MISSING, /* asked for, and not there */
	NFT_ADDED,   /* there, and not asked for */
	NFT_CHANGED, /* there, but not as asked for */
};

struct nft_difference {
	enum nft_change change;
	char subject[NFT_DIFFERENCE_SIZE]; /* what is missing or was added; of a change, the whole sentence */
};

/* Is told each difference, once. */
typedef void nft_difference_listener(void *context, const struct nft_difference *difference);

/* Counts the differences of one comparison. A NULL listener is told nothing. */
struct nft_differences {
	nft_difference_listener *listener;
	void *context;
	size_t count;
};

/* Counts a difference, and tells it. */
void nft_difference_tell(struct nft_differences *differences, enum nft_change change, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Writes the difference as a sentence: "set excluded_ports: 80 is missing". Returns `out`. */
const char *nft_difference_format(char out[NFT_DIFFERENCE_SIZE], const struct nft_difference *difference);

#endif
