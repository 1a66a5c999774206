/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The year begins in March here, so that the leap day is its last: 1970 begins 719,468 days after the first of March of
 * year 0, 400 years (an era) have 146,097 days, and five months from March on always have 153.
 */
#include "redirect/base/time.h"

#include "redirect/base/decimal.h"

#define DAYS_BEFORE_1970 719468u
#define DAYS_OF_ERA 146097u

const char *time_format(char out[TIME_TEXT_SIZE], int64_t milliseconds)
{
	uint64_t seconds = (uint64_t)milliseconds / 1000;
	uint64_t day = seconds / 86400 + DAYS_BEFORE_1970;
	unsigned of_era = (unsigned)(day % DAYS_OF_ERA);
	unsigned year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	unsigned of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	unsigned month = (5 * of_year + 2) / 153; /* 0 is March */
	unsigned year = year_of_era + (unsigned)(day / DAYS_OF_ERA) * 400 + (month >= 10 ? 1 : 0);

	const struct {
		uint64_t number;
		unsigned width;
		char behind;
	} parts[] = {
		{year % 10000, 4, '-'},
		{month >= 10 ? month - 9 : month + 3, 2, '-'},
		{of_year - (153 * month + 2) / 5 + 1, 2, 'T'},
		{seconds / 3600 % 24, 2, ':'},
		{seconds / 60 % 60, 2, ':'},
		{seconds % 60, 2, '.'},
		{(uint64_t)milliseconds % 1000, 3, 'Z'},
	};
	char *next = out;

	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		next = decimal_write(next, parts[i].number, parts[i].width);
		*next++ = parts[i].behind;
	}
	*next = '\0';
	return out;
}
