/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line counts whose keyword stands at its beginning. What follows a server's address on its line is passed over, as
 * the C library does. A line that is not understood does not stop the others.
 */
#include "proxy/dns/servers.h"

#include <stdint.h>
#include <string.h>

/* A piece of the text. */
struct word {
	const char *text;
	size_t length;
};

struct reading {
	struct servers *servers;
	unsigned line;
	bool has_problem; /* which `e` tells */
	struct error *e;
};

static void problem(struct reading *r, const struct word *word, const char *what)
{
	char quoted[ERROR_QUOTE_SIZE];

	if (!r->has_problem)
		(void)error_set(r->e, 0, "line %u: %s %s", r->line, error_quote(quoted, word->text, word->length),
			what);
	r->has_problem = true;
}

/* Takes the next word off the front of a line; an empty one: there is none. */
static struct word next_word(struct word *line)
{
	struct word word;

	while (line->length > 0 && memchr(" \t\r", *line->text, 3) != NULL) {
		line->text++;
		line->length--;
	}
	word = (struct word){line->text, 0};
	while (word.length < line->length && memchr(" \t\r", line->text[word.length], 3) == NULL)
		word.length++;
	line->text += word.length;
	line->length -= word.length;
	return word;
}

static bool is(const struct word *word, const char *text)
{
	return word->length == strlen(text) && memcmp(word->text, text, word->length) == 0;
}

/*
 * Reads a decimal number. One above `max` is that, and returns false; so does what is no number, and changes nothing.
 */
static bool read_number(const char *text, size_t length, unsigned max, unsigned *ret_number)
{
	uint64_t number = 0;

	if (length == 0)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		number = number * 10 + (uint64_t)(text[i] - '0');
		if (number > max)
			number = (uint64_t)max + 1;
	}
	*ret_number = (unsigned)(number < max ? number : max);
	return number <= max;
}

/* --- servers */

/* Splits "ADDRESS", "ADDRESS:PORT", "[ADDRESS]" and "[ADDRESS]:PORT"; several colons are those of an address. */
static bool take_port(struct word *word, uint16_t *ret_port)
{
	const char *past = word->text + word->length;
	const char *colon = memchr(word->text, ':', word->length);
	struct word address = *word;
	unsigned port = SERVERS_PORT;

	if (word->length > 0 && *word->text == '[') {
		const char *bracket = memchr(word->text, ']', word->length);

		if (bracket == NULL)
			return false;
		address = (struct word){word->text + 1, (size_t)(bracket - word->text - 1)};
		colon = bracket + 1;
	} else if (colon == NULL || colon != memrchr(word->text, ':', word->length)) {
		colon = past;
	} else {
		address.length = (size_t)(colon - word->text);
	}
	if (colon < past &&
		(*colon != ':' || !read_number(colon + 1, (size_t)(past - colon - 1), UINT16_MAX, &port) || port == 0))
		return false;
	*word = address;
	*ret_port = (uint16_t)port;
	return true;
}

/* Takes the interface off the end of an address. */
static bool take_scope(struct word *word, char out[SERVERS_SCOPE_SIZE])
{
	const char *percent = memchr(word->text, '%', word->length);
	size_t length = percent != NULL ? (size_t)(word->text + word->length - percent - 1) : 0;

	out[0] = '\0';
	if (percent == NULL)
		return true;
	for (size_t i = 1; i <= length; i++)
		if (percent[i] <= ' ' || percent[i] > '~' || strchr(",/[]:%", percent[i]) != NULL)
			return false;
	if (length == 0 || length >= SERVERS_SCOPE_SIZE)
		return false;
	memcpy(out, percent + 1, length);
	out[length] = '\0';
	word->length = (size_t)(percent - word->text);
	return true;
}

static bool is_link_local(const struct address *address)
{
	return address->bytes[0] == 0xfe && (address->bytes[1] & 0xc0) == 0x80;
}

/* What was reserved for sites once (RFC 3879); c-ares does not ask there. */
static bool is_site_local(const struct address *address)
{
	return address->bytes[0] == 0xfe && (address->bytes[1] & 0xc0) == 0xc0;
}

static void read_server(struct reading *r, struct word word)
{
	const struct word whole = word;
	struct server server;

	if (!take_port(&word, &server.endpoint.port) || !take_scope(&word, server.scope) ||
		address_parse(word.text, word.length, &server.endpoint.address) < 0 ||
		is_site_local(&server.endpoint.address)) {
		problem(r, &whole, "is no server's address, and is passed over");
		return;
	}
	if (!is_link_local(&server.endpoint.address))
		server.scope[0] = '\0';
	else if (server.scope[0] == '\0')
		problem(r, &whole, "says no interface, as \"fe80::1%eth0\" does, and is passed over");
	if (is_link_local(&server.endpoint.address) && server.scope[0] == '\0')
		return;
	if (r->servers->count == SERVERS_MAX)
		problem(r, &whole, "is one server more than the three that are asked, and is passed over");
	else
		r->servers->items[r->servers->count++] = server;
}

/* --- options */

/* Reads "NAME:NUMBER", if it is that option. */
static bool read_option(struct reading *r, const struct word *word, const char *name, unsigned max, unsigned *number)
{
	size_t length = strlen(name);
	unsigned read = *number;

	if (word->length < length || memcmp(word->text, name, length) != 0)
		return false;
	if (!read_number(word->text + length, word->length - length, max, &read))
		problem(r, word, "is not a number that is possible there");
	*number = read > 0 ? read : 1;
	return true;
}

static void read_options(struct reading *r, struct word *line)
{
	struct servers *servers = r->servers;
	struct word word;

	while ((word = next_word(line)).length > 0) {
		if (read_option(r, &word, "timeout:", SERVERS_TIMEOUT_MAX, &servers->timeout) ||
			read_option(r, &word, "attempts:", SERVERS_ATTEMPTS_MAX, &servers->attempts))
			continue;
		servers->rotate |= is(&word, "rotate");
		servers->tcp |= is(&word, "use-vc");
	}
}

/* --- the whole */

static void read_line(struct reading *r, struct word line)
{
	bool indented = line.length > 0 && memchr(" \t\r", *line.text, 3) != NULL;
	struct word keyword = next_word(&line);
	struct word value;

	if (!indented && is(&keyword, "options"))
		read_options(r, &line);
	if (indented || !is(&keyword, "nameserver"))
		return;
	value = next_word(&line);
	for (size_t i = 0; i < value.length; i++)
		if (value.text[i] == '#' || value.text[i] == ';')
			value.length = i;
	read_server(r, value);
}

static void put_loopback(struct servers *servers)
{
	servers->items[0] = (struct server){.endpoint = {{{[10] = 0xff, 0xff, 127, 0, 0, 1}}, SERVERS_PORT}};
	servers->count = 1;
	servers->is_default = true;
}

void servers_default(struct servers *ret_servers)
{
	*ret_servers = (struct servers){.timeout = SERVERS_TIMEOUT, .attempts = SERVERS_ATTEMPTS};
	put_loopback(ret_servers);
}

int servers_read(const char *text, size_t length, struct servers *ret_servers, struct error *e)
{
	struct reading r = {.servers = ret_servers, .e = e};
	const char *past = text + length;

	servers_default(ret_servers);
	ret_servers->count = 0;
	ret_servers->is_default = false;
	while (text < past) {
		const char *newline = memchr(text, '\n', (size_t)(past - text));
		const char *end = newline != NULL ? newline : past;

		r.line++;
		read_line(&r, (struct word){text, (size_t)(end - text)});
		text = end + 1;
	}
	if (ret_servers->count > 0)
		return r.has_problem;
	put_loopback(ret_servers);
	if (r.has_problem)
		(void)error_wrap(e, 0, "127.0.0.1 is asked, since no other server is named");
	else
		(void)error_set(e, 0, "it names no server: 127.0.0.1 is asked");
	return 1;
}
