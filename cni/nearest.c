/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/nearest.h"

#include <ctype.h>
#include <string.h>

struct nearest nearest_begin(const char *word)
{
	return (struct nearest){.word = word, .best = NULL, .distance = strlen(word) / 3 + 1};
}

/* Levenshtein's distance without regard to case, one row at a time. */
static size_t distance(const char *a, const char *b)
{
	size_t row[NEAREST_WORD_MAX + 1];
	size_t length = strlen(b);

	for (size_t j = 0; j <= length; j++)
		row[j] = j;
	for (size_t i = 0; a[i] != '\0'; i++) {
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (size_t j = 0; j < length; j++) {
			size_t change = diagonal + (tolower((unsigned char)a[i]) != tolower((unsigned char)b[j]));
			size_t edit = (row[j] < row[j + 1] ? row[j] : row[j + 1]) + 1;

			diagonal = row[j + 1];
			row[j + 1] = change < edit ? change : edit;
		}
	}
	return row[length];
}

void nearest_try(struct nearest *nearest, const char *known)
{
	size_t edits;

	if (known == NULL || strlen(known) > NEAREST_WORD_MAX || strlen(nearest->word) > NEAREST_WORD_MAX)
		return;
	edits = distance(nearest->word, known);
	if (edits < nearest->distance) {
		nearest->distance = edits;
		nearest->best = known;
	}
}
