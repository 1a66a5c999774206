/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http/date.h"

#include "redirect/base/time.h"

#include <stdio.h>

void http_date_write(char out[HTTP_DATE_SIZE], int64_t seconds)
{
	static const char days[][4] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};
	static const char months[][4] = {
		"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	char text[TIME_TEXT_SIZE];
	int month;

	/* 2026-01-31T23:59:59 */
	(void)time_format(text, seconds * 1000);
	month = (text[5] - '0') * 10 + text[6] - '0';
	(void)snprintf(out, HTTP_DATE_SIZE, "%s, %.2s %s %.4s %.8s GMT", days[seconds / 86400 % 7], text + 8,
		months[month - 1], text, text + 11);
}
