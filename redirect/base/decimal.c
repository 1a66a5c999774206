/* SPDX-License-Identifier: Apache-2.0 */
#include "redirect/base/decimal.h"

#include <string.h>

char *decimal_write(char *out, uint64_t number, unsigned width)
{
	char digits[DECIMAL_SIZE];
	unsigned count = 0;

	do {
		digits[DECIMAL_SIZE - ++count] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	while (count < width && count < DECIMAL_SIZE)
		digits[DECIMAL_SIZE - ++count] = '0';
	memcpy(out, digits + DECIMAL_SIZE - count, count);
	return out + count;
}
