/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Most paths are as they should be, which a look at each byte tells; the others are written anew, from left to right. A
 * dot segment is seen at the slash before it, and ".." takes back what has been written.
 */
#include "proxy/http/target.h"

#include "proxy/http/class.h"

struct reader {
	const char *next;
	const char *end;
};

static int hex_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that is escaped at a place, or -1. */
static int escaped_at(const char *at, const char *end)
{
	int high = end - at >= 3 && *at == '%' ? hex_of(at[1]) : -1;
	int low = high >= 0 ? hex_of(at[2]) : -1;

	return low >= 0 ? high * 16 + low : -1;
}

static bool is_slash(char c)
{
	return c == '/' || c == '\\';
}

/* Bytes of a dot, escaped or not; 0: there is none. */
static size_t dot_size(const char *at, const char *end)
{
	if (at < end && *at == '.')
		return 1;
	return escaped_at(at, end) == '.' ? 3 : 0;
}

/*
 * Dots of a segment that is nothing else, 1 or 2, with what it and its slash take; 0: it is another segment. To some
 * servers "..;x" is "..", so it is here, too.
 */
static unsigned dots_at(const struct reader *reader, size_t *ret_size)
{
	size_t size = dot_size(reader->next, reader->end);
	unsigned dots = size > 0;

	if (dots > 0) {
		size_t second = dot_size(reader->next + size, reader->end);

		dots += second > 0;
		size += second;
	}
	if (dots > 0 && size == dots && reader->next + size < reader->end && reader->next[size] == ';') {
		const char *slash = memchr(reader->next, '/', (size_t)(reader->end - reader->next));

		size = (size_t)((slash != NULL ? slash : reader->end) - reader->next);
	}
	if (dots == 0 || (reader->next + size < reader->end && !is_slash(reader->next[size])))
		return 0;
	*ret_size = size + (reader->next + size < reader->end);
	return dots;
}

/* Takes the last segment back, but for the path's first slash. */
static void step_back(struct http_writer *to, size_t start)
{
	if (to->size - start <= 1)
		return;
	do
		to->size--;
	while (to->data[to->size - 1] != '/');
}

/* A slash, and the dot segments behind it. */
static void put_slash(struct http_writer *to, struct reader *reader, size_t start)
{
	size_t size;
	unsigned dots;

	reader->next++;
	http_writer_put_byte(to, '/');
	while (!to->failed && (dots = dots_at(reader, &size)) > 0) {
		if (dots == 2)
			step_back(to, start);
		reader->next += size;
	}
}

/* Whether a byte may not be in a path as it is. */
static bool needs_escape(char c)
{
	return memchr("\"<>^`{|}", c, 8) != NULL;
}

static void put_escaped(struct http_writer *to, char c)
{
	static const char digits[] = "0123456789ABCDEF";

	http_writer_put_byte(to, '%');
	http_writer_put_byte(to, digits[(uint8_t)c >> 4]);
	http_writer_put_byte(to, digits[(uint8_t)c & 15]);
}

/* Bytes of a hexadecimal digit, escaped or not; 0: there is none. */
static size_t digit_size(const char *at, const char *end)
{
	int escaped = escaped_at(at, end);

	if (escaped >= 0)
		return hex_of((char)escaped) >= 0 ? 3 : 0;
	return at < end && hex_of(*at) >= 0;
}

/* Whether a "%" that escapes nothing would do so once the escapes behind it are gone. */
static bool would_escape(const char *at, const char *end)
{
	size_t first = digit_size(at + 1, end);
	size_t second = first > 0 ? digit_size(at + 1 + first, end) : 0;

	return second > 0 && first + second > 2;
}

/* A byte that is no slash, or an escape. */
static void put_byte(struct http_writer *to, struct reader *reader)
{
	int escaped = escaped_at(reader->next, reader->end);

	if (escaped >= 0 && http_class_has(&http_class_unreserved, (char)escaped)) {
		http_writer_put_byte(to, (char)escaped);
		reader->next += 3;
	} else if (escaped >= 0) {
		http_writer_put(to, (struct http_text){reader->next, 3});
		reader->next += 3;
	} else if (needs_escape(*reader->next) || (*reader->next == '%' && would_escape(reader->next, reader->end))) {
		put_escaped(to, *reader->next++);
	} else {
		http_writer_put_byte(to, *reader->next++);
	}
}

/* Whether nothing in the path has to change; without its query. */
static bool is_normal(struct http_text path)
{
	for (size_t i = 0; i < path.size; i++) {
		char c = path.data[i];

		if (!http_class_has(&http_class_path, c) || (c == '.' && path.data[i - 1] == '/'))
			return false;
	}
	return true;
}

enum http_problem http_path_normalise(struct http_writer *to, struct http_text path)
{
	const char *fragment = path.size > 0 ? memchr(path.data, '#', path.size) : NULL;
	size_t whole = fragment != NULL ? (size_t)(fragment - path.data) : path.size;
	const char *query = whole > 0 ? memchr(path.data, '?', whole) : NULL;
	struct reader reader = {.next = path.data, .end = query != NULL ? query : path.data + whole};
	size_t start = to->size;

	if (path.size > 0 && path.data[0] == '*')
		return HTTP_FINE;
	if (reader.next == reader.end) {
		http_writer_put_byte(to, '/');
	} else if (fragment == NULL && is_normal((struct http_text){reader.next, (size_t)(reader.end - reader.next)})) {
		return HTTP_FINE;
	}
	if (memmem(reader.next, (size_t)(reader.end - reader.next), "%00", 3) != NULL)
		return HTTP_BAD_PATH;
	while (reader.next < reader.end && !to->failed) {
		if (is_slash(*reader.next))
			put_slash(to, &reader, start);
		else
			put_byte(to, &reader);
	}
	http_writer_put(to, (struct http_text){reader.end, (size_t)(path.data + whole - reader.end)});
	return to->failed ? HTTP_BAD_PATH : HTTP_FINE;
}
