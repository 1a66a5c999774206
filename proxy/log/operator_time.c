/* SPDX-License-Identifier: Apache-2.0 */
/*
 * %START_TIME(form)%, a form as strftime's, with Envoy's %f and %3f for parts of a second. The time as ISO writes it has
 * nearly everything at a fixed place.
 */
#include "proxy/log/operator.h"

#include "redirect/base/decimal.h"
#include "redirect/base/time.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MILLISECONDS_OF_DAY (24 * 3600 * 1000)
#define WEEKDAY_OF_1970 4
#define NAME_SHORT 3

/* What is cut out of "2026-01-31T23:59:59.999Z", or put together. */
static const struct conversion {
	char letter;
	unsigned char from;
	unsigned char size;
	const char *others; /* instead: conversions with what is between them */
} conversions[] = {
	{'Y', 0, 4, NULL},
	{'y', 2, 2, NULL},
	{'m', 5, 2, NULL},
	{'d', 8, 2, NULL},
	{'H', 11, 2, NULL},
	{'M', 14, 2, NULL},
	{'S', 17, 2, NULL},
	{'F', 0, 10, NULL},
	{'T', 11, 8, NULL},
	{'R', 11, 5, NULL},
	{'D', 0, 0, "%m/%d/%y"},
	{'z', 0, 0, "+0000"},
	{'Z', 0, 0, "UTC"},
	{'n', 0, 0, "\n"},
	{'t', 0, 0, "\t"},
};

static const char letters[] = "%sfebBaA"; /* those that need more than that */

static const struct conversion *find(char letter)
{
	for (size_t i = 0; i < sizeof conversions / sizeof *conversions; i++)
		if (conversions[i].letter == letter)
			return &conversions[i];
	return NULL;
}

static bool is_digit(char c)
{
	return c >= '1' && c <= '9';
}

int operator_time_check(struct facts_text form, struct error *e)
{
	for (size_t i = 0; i < form.size; i++) {
		char letter;
		char quoted[ERROR_QUOTE_SIZE];

		if (form.data[i] != '%')
			continue;
		letter = ++i < form.size ? form.data[i] : '\0';
		if (is_digit(letter) && i + 1 < form.size && form.data[i + 1] == 'f')
			continue;
		if (letter == '\0' || (find(letter) == NULL && strchr(letters, letter) == NULL))
			return error_set(e, EINVAL,
				"%s is no part of a time; valid are %%Y %%y %%m %%d %%e %%b %%B %%a %%A %%H %%M %%S %%F %%T %%R %%D %%z %%Z %%s %%f %%1f to %%9f %%n %%t %%%%",
				error_quote(quoted, form.data + i - 1, letter == '\0' ? 1 : 2));
	}
	return 0;
}

/* --- writing */

struct output {
	char *out;
	size_t used;
};

static void put(struct output *to, const char *text, size_t size)
{
	size_t room = OPERATOR_SCRATCH_SIZE - to->used;

	size = size < room ? size : room;
	memcpy(to->out + to->used, text, size);
	to->used += size;
}

static void put_number(struct output *to, uint64_t number, unsigned width)
{
	char digits[DECIMAL_SIZE];
	size_t size = (size_t)(decimal_write(digits, number, width) - digits);

	put(to, digits, size);
}

/* Milliseconds, with as many digits as are asked for. */
static void put_fraction(struct output *to, const char *iso, size_t digits)
{
	char fraction[] = "000000000";

	memcpy(fraction, iso + 20, 3);
	put(to, fraction, digits);
}

static void put_name(struct output *to, const char *name, bool is_short)
{
	put(to, name, is_short ? NAME_SHORT : strlen(name));
}

static void put_month(struct output *to, const char *iso, bool is_short)
{
	static const char *const names[] = {"January", "February", "March", "April", "May", "June", "July", "August",
		"September", "October", "November", "December"};

	put_name(to, names[(iso[5] - '0') * 10 + (iso[6] - '0') - 1], is_short);
}

static void put_weekday(struct output *to, int64_t milliseconds, bool is_short)
{
	static const char *const names[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};

	put_name(to, names[(milliseconds / MILLISECONDS_OF_DAY + WEEKDAY_OF_1970) % 7], is_short);
}

static void put_form(struct output *to, struct facts_text form, const char *iso, int64_t milliseconds);

static void put_conversion(struct output *to, char letter, const char *iso, int64_t milliseconds)
{
	const struct conversion *conversion = find(letter);

	if (conversion != NULL && conversion->others != NULL)
		put_form(to, (struct facts_text){conversion->others, strlen(conversion->others)}, iso, milliseconds);
	else if (conversion != NULL)
		put(to, iso + conversion->from, conversion->size);
	else if (letter == 's')
		put_number(to, (uint64_t)milliseconds / 1000, 1);
	else if (letter == 'f')
		put_fraction(to, iso, 9);
	else if (letter == 'e')
		put(to, (char[]){iso[8] == '0' ? ' ' : iso[8], iso[9]}, 2);
	else if (letter == 'b' || letter == 'B')
		put_month(to, iso, letter == 'b');
	else if (letter == 'a' || letter == 'A')
		put_weekday(to, milliseconds, letter == 'a');
	else
		put(to, "%", 1);
}

static void put_form(struct output *to, struct facts_text form, const char *iso, int64_t milliseconds)
{
	for (size_t i = 0; i < form.size; i++) {
		if (form.data[i] != '%') {
			put(to, form.data + i, 1);
		} else if (is_digit(form.data[++i])) {
			put_fraction(to, iso, (size_t)(form.data[i] - '0'));
			i++;
		} else {
			put_conversion(to, form.data[i], iso, milliseconds);
		}
	}
}

size_t operator_time_write(char scratch[OPERATOR_SCRATCH_SIZE], struct facts_text form, int64_t milliseconds)
{
	char iso[TIME_TEXT_SIZE];
	struct output to = {scratch, 0};

	put_form(&to, form, time_format(iso, milliseconds), milliseconds);
	return to.used;
}
