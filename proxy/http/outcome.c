/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http/outcome.h"

#include <stdio.h>

void http_outcome_add_flag(struct http_outcome *outcome, const char *flag)
{
	for (unsigned i = 0; i < outcome->flag_count; i++)
		if (strcmp(outcome->flags[i], flag) == 0)
			return;
	if (outcome->flag_count < HTTP_FLAGS_MAX)
		outcome->flags[outcome->flag_count++] = flag;
}

const char *http_outcome_flags(const struct http_outcome *outcome, char out[HTTP_FLAGS_SIZE])
{
	size_t at = 0;

	(void)snprintf(out, HTTP_FLAGS_SIZE, "-");
	for (unsigned i = 0; i < outcome->flag_count; i++) {
		int length = snprintf(out + at, HTTP_FLAGS_SIZE - at, "%s%s", i > 0 ? "," : "", outcome->flags[i]);

		if (length < 0 || (size_t)length >= HTTP_FLAGS_SIZE - at)
			break;
		at += (size_t)length;
	}
	return out;
}

/* A column of the log has no blanks. */
static void join_words(char *text)
{
	while ((text = strchr(text, ' ')) != NULL)
		*text = '_';
}

const char *http_outcome_details(const struct http_outcome *outcome, char out[HTTP_DETAILS_SIZE])
{
	const char *details = outcome->details != NULL ? outcome->details : "-";

	if (outcome->reason == NULL)
		(void)snprintf(out, HTTP_DETAILS_SIZE, "%s", details);
	else if (outcome->transport == NULL)
		(void)snprintf(out, HTTP_DETAILS_SIZE, "%s{%s}", details, outcome->reason);
	else
		(void)snprintf(out, HTTP_DETAILS_SIZE, "%s{%s|%s}", details, outcome->reason, outcome->transport);
	join_words(out);
	return out;
}

const char *http_outcome_transport(const struct http_outcome *outcome, char out[HTTP_DETAILS_SIZE])
{
	(void)snprintf(out, HTTP_DETAILS_SIZE, "%s", outcome->transport != NULL ? outcome->transport : "-");
	join_words(out);
	return out;
}
