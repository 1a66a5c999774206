/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/net/log_line.h"

#include "proxy/log/access_log.h"

#include <stdlib.h>

/* A line's usual room; longer ones get memory of their own. */
#define LINE_SIZE 4096

static void write_without_names(struct sink *sink, size_t queue, const struct format *format, const struct facts *facts)
{
	char line[LINE_SIZE];
	struct facts bare = *facts;
	struct facts_http http;
	size_t length;

	bare.names = NULL;
	bare.suggestion = NULL;
	if (facts->http != NULL) {
		http = *facts->http;
		http.method = http.path = http.sent_path = http.authority = (struct facts_text){NULL, 0};
		http.user_agent = http.request_id = http.forwarded_for = (struct facts_text){NULL, 0};
		http.header = NULL;
		bare.http = &http;
	}
	length = access_log_format(format, line, sizeof line, &bare);
	if (length <= sizeof line)
		sink_add(sink, queue, line, length);
	else
		sink_drop(sink, queue);
}

void log_line_write(struct sink *sink, size_t queue, const struct format *format, const struct facts *facts)
{
	char usual[LINE_SIZE];
	size_t length = access_log_format(format, usual, sizeof usual, facts);
	char *longer;

	if (length <= sizeof usual) {
		sink_add(sink, queue, usual, length);
		return;
	}
	longer = malloc(length);
	if (longer == NULL) {
		write_without_names(sink, queue, format, facts);
		return;
	}
	(void)access_log_format(format, longer, length, facts);
	sink_add(sink, queue, longer, length);
	free(longer);
}
