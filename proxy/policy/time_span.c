/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/policy/time_span.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Parts of a Gateway API duration, and digits of each. */
#define GATEWAY_PART_MAX 4
#define GATEWAY_DIGIT_MAX 5

/* The longer of two units that begin alike stands first. */
static const struct unit {
	const char *name;
	int64_t nanoseconds;
	bool gateway;
} units[] = {
	{"h", 3600 * TIME_SPAN_SECOND, true},
	{"ms", TIME_SPAN_MILLISECOND, true},
	{"m", 60 * TIME_SPAN_SECOND, true},
	{"s", TIME_SPAN_SECOND, true},
	{"us", 1000, false},
	{"\xc2\xb5s", 1000, false}, /* the micro sign */
	{"\xce\xbcs", 1000, false}, /* the Greek letter */
	{"ns", 1, false},
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static const struct unit *take_unit(const char **text)
{
	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		size_t length = strlen(units[i].name);

		if (strncmp(*text, units[i].name, length) == 0) {
			*text += length;
			return &units[i];
		}
	}
	return NULL;
}

/* Digits behind the point that are finer than any unit's nanoseconds are dropped. */
static int64_t take_fraction(const char **text, int64_t unit)
{
	int64_t sum = 0;

	for (; is_digit(**text); ++*text) {
		unit /= 10;
		sum += (**text - '0') * unit;
	}
	return sum;
}

static int take_part(const char **text, int64_t *sum)
{
	const char *digits = *text;
	const char *fraction = NULL;
	const struct unit *unit;
	int64_t whole = 0;

	for (; is_digit(**text); ++*text)
		if (__builtin_mul_overflow(whole, 10, &whole) || __builtin_add_overflow(whole, **text - '0', &whole))
			return -ERANGE;
	if (**text == '.') {
		fraction = ++*text;
		while (is_digit(**text))
			++*text;
	}
	if (*text == digits || (fraction == digits + 1 && *text == fraction))
		return -EINVAL;
	unit = take_unit(text);
	if (unit == NULL)
		return -EINVAL;
	if (__builtin_mul_overflow(whole, unit->nanoseconds, &whole) || __builtin_add_overflow(*sum, whole, sum))
		return -ERANGE;
	if (fraction != NULL && __builtin_add_overflow(*sum, take_fraction(&fraction, unit->nanoseconds), sum))
		return -ERANGE;
	return 0;
}

int time_span_parse(const char *text, int64_t *ret_nanoseconds)
{
	bool negative = *text == '-';
	int64_t sum = 0;

	if (*text == '-' || *text == '+')
		text++;
	if (strcmp(text, "0") == 0) {
		*ret_nanoseconds = 0;
		return 0;
	}
	do {
		int rc = take_part(&text, &sum);

		if (rc < 0)
			return rc;
	} while (*text != '\0');
	*ret_nanoseconds = negative ? -sum : sum;
	return 0;
}

int time_span_parse_gateway(const char *text, int64_t *ret_nanoseconds)
{
	int64_t sum = 0;
	int part = 0;

	do {
		const struct unit *unit;
		int64_t whole = 0;
		int digits = 0;

		for (; is_digit(*text) && digits <= GATEWAY_DIGIT_MAX; text++, digits++)
			whole = whole * 10 + (*text - '0');
		unit = digits > 0 && digits <= GATEWAY_DIGIT_MAX ? take_unit(&text) : NULL;
		if (unit == NULL || !unit->gateway || ++part > GATEWAY_PART_MAX)
			return -EINVAL;
		sum += whole * unit->nanoseconds;
	} while (*text != '\0');
	*ret_nanoseconds = sum;
	return 0;
}
