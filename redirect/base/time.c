/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The year begins in March here, so that the leap day is its last: 1970 begins 719,468 days after the first of March of
 * year 0, 400 years (an era) have 146,097 days, and five months from March on always have 153.
 */
#include "redirect/base/time.h"

#include <stdio.h>

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

	(void)snprintf(out, TIME_TEXT_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", year % 10000,
		month >= 10 ? month - 9 : month + 3, of_year - (153 * month + 2) / 5 + 1, (unsigned)(seconds / 3600 % 24),
		(unsigned)(seconds / 60 % 60), (unsigned)(seconds % 60), (unsigned)(milliseconds % 1000));
	return out;
}
