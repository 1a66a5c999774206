/* SPDX-License-Identifier: Apache-2.0 */
#include "redirect/nft/difference.h"

#include <stdarg.h>
#include <stdio.h>

/* Room for the words behind a subject. */
#define WORDS_SIZE 16

void nft_difference_tell(struct nft_differences *differences, enum nft_change change, const char *format, ...)
{
	struct nft_difference difference = {.change = change};
	va_list arguments;

	differences->count++;
	if (differences->listener == NULL)
		return;
	va_start(arguments, format);
	(void)vsnprintf(difference.subject, sizeof difference.subject - WORDS_SIZE, format, arguments);
	va_end(arguments);
	differences->listener(differences->context, &difference);
}

const char *nft_difference_format(char out[NFT_DIFFERENCE_SIZE], const struct nft_difference *difference)
{
	static const char *const words[] = {
		[NFT_MISSING] = " is missing", [NFT_ADDED] = " was added", [NFT_CHANGED] = ""};

	(void)snprintf(out, NFT_DIFFERENCE_SIZE, "%.*s%s", NFT_DIFFERENCE_SIZE - WORDS_SIZE, difference->subject,
		words[difference->change]);
	return out;
}
