/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the known word that a misspelled one was most likely meant to be.
 */
#ifndef WEIR_CNI_NEAREST_H
#define WEIR_CNI_NEAREST_H

#include <stddef.h>

/* Words longer than this are not compared. */
#define NEAREST_WORD_MAX 64

struct nearest {
	const char *word;
	const char *best; /* NULL while nothing is near enough */
	size_t distance;  /* of the best: edits, at most a third of the word */
};

/* Starts a search for `word`, which is borrowed. */
struct nearest nearest_begin(const char *word);

/* Offers a known word, borrowed; NULL is none. */
void nearest_try(struct nearest *nearest, const char *known);

#endif
