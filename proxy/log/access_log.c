/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/log/access_log.h"

#include "redirect/base/decimal.h"
#include "redirect/base/time.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* RESPONSE_FLAGS and CONNECTION_TERMINATION_DETAILS of each end. The words are ours where Istio has none. */
static const struct end {
	const char *flags;
	const char *details;
} ends[] = {
	[FACTS_END_PLAIN] = {"-", "-"},
	[FACTS_END_CONNECT_FAILED] = {"UF,URX", "-"},
	[FACTS_END_CONNECT_TIMEOUT] = {"UF,URX", "-"},
	[FACTS_END_UPSTREAM_RESET] = {"UR", "-"},
	[FACTS_END_DIRECT] = {"NR", "direct_dial"},
	[FACTS_END_LOOP] = {"NR", "loop"},
	[FACTS_END_MEMORY] = {"OM", "out_of_memory"},
	[FACTS_END_DRAIN] = {"-", "drain_time_over"},
};
static_assert(sizeof ends / sizeof *ends == FACTS_END_COUNT, "every end has its words");

struct line {
	char *out;
	size_t size;
	size_t used; /* counts on past the end, so that the caller learns the length */
};

static void put_bytes(struct line *line, const char *bytes, size_t count)
{
	if (line->used + count <= line->size)
		memcpy(line->out + line->used, bytes, count);
	line->used += count;
}

static void put_byte(struct line *line, char c)
{
	put_bytes(line, &c, 1);
}

static void put(struct line *line, const char *text)
{
	put_bytes(line, text, strlen(text));
}

static void put_number(struct line *line, uint64_t number)
{
	char digits[DECIMAL_SIZE];

	put_bytes(line, digits, (size_t)(decimal_write(digits, number, 1) - digits));
}

/* What a client sent: quotes, backslashes, controls and bytes over 0x7e cannot break the columns. */
static void put_escaped(struct line *line, const char *text)
{
	static const char hex[] = "0123456789abcdef";
	const char *plain = text; /* what has been passed over since the last escape */

	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;
		bool is_quoted = c == '"' || c == '\\';

		if (c >= 0x20 && c <= 0x7e && !is_quoted)
			continue;
		put_bytes(line, plain, (size_t)(text - plain));
		plain = text + 1;
		if (is_quoted)
			put_bytes(line, (char[]){'\\', (char)c}, 2);
		else
			put_bytes(line, (char[]){'\\', 'x', hex[c >> 4], hex[c & 15]}, 4);
	}
	put_bytes(line, plain, (size_t)(text - plain));
}

static void put_or_dash(struct line *line, const char *text)
{
	if (text != NULL)
		put_escaped(line, text);
	else
		put_byte(line, '-');
}

static void put_endpoint(struct line *line, const struct endpoint *endpoint, bool known)
{
	char text[ADDRESS_TEXT_SIZE];

	put(line, known ? endpoint_format(text, endpoint) : "-");
}

/* UPSTREAM_TRANSPORT_FAILURE_REASON, blanks as "_". Envoy has none for the connecting that took too long. */
static void put_failure(struct line *line, const struct facts *facts)
{
	if (facts->end == FACTS_END_CONNECT_FAILED) {
		put(line, "delayed_connect_error:_");
		for (const char *text = strerror(facts->error); *text != '\0'; text++)
			put_byte(line, *text == ' ' ? '_' : *text);
	} else {
		put_byte(line, '-');
	}
}

/* CONNECTION_TERMINATION_DETAILS; and a name that may be a cover says so. */
static void put_details(struct line *line, const struct facts *facts)
{
	const char *details = ends[facts->end].details;

	bool is_alone = facts->has_ech && strcmp(details, "-") == 0;

	if (!is_alone)
		put(line, details);
	if (facts->has_ech)
		put(line, is_alone ? "ech" : ",ech");
}

static void put_version(struct line *line, const struct facts *facts, const char *version)
{
	if (facts->protocol == FACTS_HTTP2)
		put(line, "HTTP/2");
	else
		put_or_dash(line, version);
}

size_t access_log_format(char *out, size_t size, const struct facts *facts)
{
	static const struct facts_names none = {.method = NULL};
	const struct facts_names *names = facts->names != NULL ? facts->names : &none;
	struct line line = {out, size, 0};
	char started[TIME_TEXT_SIZE];

	put_byte(&line, '[');
	put(&line, time_format(started, facts->started));
	put(&line, "] \"");
	put_or_dash(&line, names->method);
	put_byte(&line, ' ');
	put_or_dash(&line, names->path);
	put_byte(&line, ' ');
	put_version(&line, facts, names->version);
	put(&line, "\" 0 ");
	put(&line, ends[facts->end].flags);
	put(&line, " - ");
	put_details(&line, facts);
	put(&line, " \"");
	put_failure(&line, facts);
	put(&line, "\" ");
	put_number(&line, facts->received);
	put_byte(&line, ' ');
	put_number(&line, facts->sent);
	put_byte(&line, ' ');
	put_number(&line, (uint64_t)facts->duration);
	put(&line, " - \"-\" \"-\" \"-\" \"");
	put_or_dash(&line, names->host);
	put(&line, "\" \"");
	put_endpoint(&line, &facts->destination, facts->has_upstream);
	put(&line, facts->has_upstream ? "\" PassthroughCluster " : "\" - ");
	put_endpoint(&line, &facts->upstream_local, facts->has_upstream_local);
	put_byte(&line, ' ');
	put_endpoint(&line, &facts->destination, true);
	put_byte(&line, ' ');
	put_endpoint(&line, &facts->source, true);
	put_byte(&line, ' ');
	put_or_dash(&line, names->server_name);
	put(&line, " -\n");
	return line.used;
}

const char *access_log_flags(enum facts_end end)
{
	return ends[end].flags;
}

void facts_free(struct facts *facts)
{
	struct facts_names *names = facts->names;

	if (names == NULL)
		return;
	free(names->server_name);
	free(names->method);
	free(names->path);
	free(names->version);
	free(names->host);
	free(names);
	facts->names = NULL;
}
