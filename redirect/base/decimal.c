/* SPDX-License-Identifier: Apache-2.0 */
#include "redirect/base/decimal.h"

#include <string.h>

/* Two digits at a time: most numbers are a port, an octet, or a part of a time. */
static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
			    "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
			    "8081828384858687888990919293949596979899";

static unsigned count_digits(uint64_t number)
{
	unsigned count = 1;

	for (; number >= 1000; number /= 1000)
		count += 3;
	return count + (number >= 10) + (number >= 100);
}

char *decimal_write(char *out, uint64_t number, unsigned width)
{
	unsigned count;
	char *next;

	if (number < 100 && width <= 2) {
		if (number >= 10 || width == 2)
			*out++ = pairs[number * 2];
		*out++ = pairs[number * 2 + 1];
		return out;
	}
	count = count_digits(number);
	for (unsigned zeros = count; zeros < width && zeros < DECIMAL_SIZE; zeros++)
		*out++ = '0';
	out += count;
	for (next = out; number >= 100; number /= 100)
		memcpy(next -= 2, pairs + number % 100 * 2, 2);
	if (number >= 10)
		memcpy(next - 2, pairs + number * 2, 2);
	else
		next[-1] = (char)('0' + number);
	return out;
}
