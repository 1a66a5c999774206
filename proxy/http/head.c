/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A scanner goes over the bytes once. It stops with a problem, which stays: HTTP_MORE at the end of the bytes is one like
 * the others. Bytes of a value are looked at eight at a time, since they are most of a head.
 */
#include "proxy/http/head.h"

#include "proxy/http/class.h"

#include <assert.h>

#define EACH_BYTE(value) (0x0101010101010101u * (value))

static_assert(HTTP_HEADERS_MAX < UINT8_MAX, "a field's place fits into a byte");

struct scanner {
	const char *next;
	const char *end;
	enum http_problem problem;
	bool bare; /* a line has ended without CR */
};

static void fail(struct scanner *scanner, enum http_problem problem)
{
	if (scanner->problem == HTTP_FINE)
		scanner->problem = problem;
}

static bool at_end(struct scanner *scanner)
{
	if (scanner->next == scanner->end)
		fail(scanner, HTTP_MORE);
	return scanner->problem != HTTP_FINE;
}

/* Takes one byte that must be there. */
static void take(struct scanner *scanner, char c)
{
	if (at_end(scanner))
		return;
	if (*scanner->next != c)
		fail(scanner, HTTP_BAD_SYNTAX);
	else
		scanner->next++;
}

static void take_text(struct scanner *scanner, const char *text)
{
	while (*text != '\0')
		take(scanner, *text++);
}

static void take_line_end(struct scanner *scanner)
{
	if (at_end(scanner))
		return;
	if (*scanner->next == '\n') {
		scanner->bare = true;
		scanner->next++;
		return;
	}
	take(scanner, '\r');
	take(scanner, '\n');
}

/* Takes bytes of a class, at least one. */
static struct http_text take_class(struct scanner *scanner, const struct http_class *class)
{
	const char *start = scanner->next;

	if (scanner->problem != HTTP_FINE)
		return (struct http_text){NULL, 0};
	while (scanner->next < scanner->end && http_class_has(class, *scanner->next))
		scanner->next++;
	if (!at_end(scanner) && scanner->next == start)
		fail(scanner, HTTP_BAD_SYNTAX);
	return (struct http_text){start, (size_t)(scanner->next - start)};
}

static unsigned take_digit(struct scanner *scanner)
{
	if (at_end(scanner))
		return 0;
	if (*scanner->next < '0' || *scanner->next > '9') {
		fail(scanner, HTTP_BAD_SYNTAX);
		return 0;
	}
	return (unsigned)(*scanner->next++ - '0');
}

/* Whether one of eight bytes is below 0x20, a tab among them, or 0x7f. */
static bool has_control(uint64_t word)
{
	uint64_t del = word ^ EACH_BYTE(0x7fu);
	uint64_t low = (word - EACH_BYTE(0x20u)) & ~word;

	return ((low | ((del - EACH_BYTE(1u)) & ~del)) & EACH_BYTE(0x80u)) != 0;
}

/* Takes a line's bytes up to its end, or to a byte that may not be in it. */
static void take_printable(struct scanner *scanner)
{
	const char *next = scanner->next;
	uint64_t word;

	for (;;) {
		while (scanner->end - next >= (ptrdiff_t)sizeof word) {
			memcpy(&word, next, sizeof word);
			if (has_control(word))
				break;
			next += sizeof word;
		}
		while (next < scanner->end && (((uint8_t)*next >= ' ' && *next != 0x7f) || *next == '\t')) {
			next++;
			if (((uintptr_t)(next - scanner->next) & (sizeof word - 1)) == 0)
				break;
		}
		if (next == scanner->end || (((uint8_t)*next < ' ' && *next != '\t') || *next == 0x7f))
			break;
	}
	scanner->next = next;
}

static bool line_is_continued(struct scanner *scanner)
{
	return !at_end(scanner) && (*scanner->next == ' ' || *scanner->next == '\t');
}

/* Takes a value with the end of its line, and where lines may continue, those that do. */
static void take_value(struct scanner *scanner, struct http_field *field, bool may_fold)
{
	const char *start = scanner->next;
	const char *end;

	field->folded = false;
	do {
		take_printable(scanner);
		end = scanner->next;
		if (!at_end(scanner) && *end != '\r' && *end != '\n')
			fail(scanner, HTTP_BAD_CHARACTER);
		take_line_end(scanner);
		if (!line_is_continued(scanner))
			break;
		if (!may_fold)
			fail(scanner, HTTP_BAD_SYNTAX);
		field->folded = true;
	} while (scanner->problem == HTTP_FINE);
	field->value = http_text_trim((struct http_text){start, (size_t)(end - start)});
}

static void add_field(struct http_head *head, struct http_field *field)
{
	field->known = (uint8_t)http_name_find(field->name);
	if (head->first[field->known] == 0)
		head->first[field->known] = (uint8_t)(head->count + 1);
	else if (field->known != HTTP_NAME_OTHER)
		head->repeated = true;
	if (field->folded)
		head->regular = false;
	head->count++;
}

/* Takes the fields and the empty line behind them. */
static void take_fields(struct scanner *scanner, struct http_head *head, bool may_fold)
{
	while (!at_end(scanner) && *scanner->next != '\r' && *scanner->next != '\n') {
		struct http_field *field = &head->fields[head->count];

		if (head->count == HTTP_HEADERS_MAX) {
			fail(scanner, HTTP_TOO_MANY_HEADERS);
			return;
		}
		field->name = take_class(scanner, &http_class_token);
		take(scanner, ':');
		if (scanner->problem == HTTP_FINE)
			take_value(scanner, field, may_fold);
		if (scanner->problem == HTTP_FINE)
			add_field(head, field);
	}
	take_line_end(scanner);
}

/* Takes the digit behind "HTTP/1.". */
static void take_version(struct scanner *scanner, struct http_head *head)
{
	take_text(scanner, "HTTP/1.");
	head->minor = (uint8_t)take_digit(scanner);
	if (head->minor > 1)
		fail(scanner, HTTP_BAD_SYNTAX);
}

/* METHOD SP target SP version */
static void take_request_line(struct scanner *scanner, struct http_head *head)
{
	const char *start;

	head->method = take_class(scanner, &http_class_token);
	take(scanner, ' ');
	start = scanner->next;
	while (scanner->problem == HTTP_FINE && scanner->next < scanner->end && *scanner->next > ' ' && *scanner->next < 0x7f)
		scanner->next++;
	head->target = (struct http_text){start, (size_t)(scanner->next - start)};
	if (!at_end(scanner) && head->target.size == 0)
		fail(scanner, HTTP_BAD_SYNTAX);
	take(scanner, ' ');
	take_version(scanner, head);
	take_line_end(scanner);
}

/* version SP status [SP reason] */
static void take_status_line(struct scanner *scanner, struct http_head *head)
{
	unsigned status;

	take_version(scanner, head);
	take(scanner, ' ');
	status = take_digit(scanner) * 100;
	status += take_digit(scanner) * 10;
	status += take_digit(scanner);
	head->status = (uint16_t)status;
	if (scanner->problem == HTTP_FINE && status < 100)
		fail(scanner, HTTP_BAD_SYNTAX);
	if (!at_end(scanner) && *scanner->next == ' ')
		take_printable(scanner);
	take_line_end(scanner);
}

static enum http_problem read(struct http_head *head, const char *data, size_t size, bool is_request)
{
	size_t most = is_request ? HTTP_REQUEST_HEAD_MAX : HTTP_RESPONSE_HEAD_MAX;
	struct scanner scanner = {.next = data, .end = data + (size < most ? size : most)};

	head->count = 0;
	head->status = 0;
	head->minor = 0;
	head->regular = true;
	head->repeated = false;
	head->method = head->target = (struct http_text){NULL, 0};
	memset(head->first, 0, sizeof head->first);
	if (is_request)
		take_request_line(&scanner, head);
	else
		take_status_line(&scanner, head);
	take_fields(&scanner, head, !is_request);
	head->size = (uint32_t)(scanner.next - data);
	head->regular = head->regular && !scanner.bare;
	return scanner.problem == HTTP_MORE && size >= most ? HTTP_TOO_LARGE : scanner.problem;
}

enum http_problem http_head_read_request(struct http_head *head, const char *data, size_t size)
{
	return read(head, data, size, true);
}

enum http_problem http_head_read_response(struct http_head *head, const char *data, size_t size)
{
	return read(head, data, size, false);
}

unsigned http_head_count(const struct http_head *head, enum http_name name)
{
	unsigned count = head->first[name] != 0 ? 1 : 0;

	if (count == 0 || !head->repeated)
		return count;
	for (unsigned i = head->first[name]; i < head->count; i++)
		count += head->fields[i].known == name;
	return count;
}

bool http_head_lists(const struct http_head *head, enum http_name name, struct http_text element)
{
	if (head->first[name] == 0)
		return false;
	for (unsigned i = head->first[name] - 1u; i < head->count; i++) {
		struct http_text list = head->fields[i].value;
		struct http_text item;

		while (head->fields[i].known == name && http_text_next(&list, &item))
			if (http_text_same(item, element))
				return true;
	}
	return false;
}
