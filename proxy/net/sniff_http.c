/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/net/sniff_http.h"

#include <string.h>
#include <strings.h>

/* No method of the registry is half as long. */
#define METHOD_LENGTH_MAX 32

static bool is_method_byte(uint8_t c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '_';
}

/* Takes a line without its CRLF or LF. Returns false when its end is not there yet. */
static bool next_line(const uint8_t **next, const uint8_t *end, const uint8_t **ret_line, size_t *ret_length)
{
	const uint8_t *newline = memchr(*next, '\n', (size_t)(end - *next));
	size_t length;

	if (newline == NULL)
		return false;
	length = (size_t)(newline - *next);
	*ret_line = *next;
	*ret_length = length > 0 && newline[-1] == '\r' ? length - 1 : length;
	*next = newline + 1;
	return true;
}

/* METHOD SP target SP HTTP/1.x */
static bool read_request_line(const uint8_t *line, size_t length, struct sniff_http *out)
{
	static const char version[] = "HTTP/1.";
	const uint8_t *first = memchr(line, ' ', length);
	const uint8_t *last = length > 0 ? memrchr(line, ' ', length) : NULL;

	if (first == NULL || last <= first + 1 || first == line)
		return false;
	out->method = line;
	out->method_length = (size_t)(first - line);
	out->target = first + 1;
	out->target_length = (size_t)(last - first - 1);
	out->version = last + 1;
	out->version_length = length - (size_t)(last + 1 - line);
	return out->version_length == sizeof version && memcmp(out->version, version, sizeof version - 1) == 0 &&
	       out->version[7] >= '0' && out->version[7] <= '9';
}

static bool read_host(const uint8_t *line, size_t length, struct sniff_http *out)
{
	static const char name[] = "host:";

	if (length < sizeof name - 1 || strncasecmp((const char *)line, name, sizeof name - 1) != 0)
		return false;
	line += sizeof name - 1;
	length -= sizeof name - 1;
	while (length > 0 && (*line == ' ' || *line == '\t')) {
		line++;
		length--;
	}
	while (length > 0 && (line[length - 1] == ' ' || line[length - 1] == '\t'))
		length--;
	out->host = line;
	out->host_length = length;
	return true;
}

/* Most other protocols are told apart by the first byte, or by the first word. */
static enum sniff_result check_method(const uint8_t *data, size_t size)
{
	size_t i = 0;

	while (i < size && i < METHOD_LENGTH_MAX && is_method_byte(data[i]))
		i++;
	if (i == size)
		return SNIFF_MORE;
	return i > 0 && data[i] == ' ' ? SNIFF_MATCH : SNIFF_NOT;
}

enum sniff_result sniff_http(const uint8_t *data, size_t size, struct sniff_http *out)
{
	const uint8_t *next = data;
	const uint8_t *end = data + size;
	const uint8_t *line;
	size_t length;
	enum sniff_result method = check_method(data, size);

	*out = (struct sniff_http){.host = NULL};
	if (method != SNIFF_MATCH)
		return method;
	if (!next_line(&next, end, &line, &length))
		return SNIFF_MORE;
	if (!read_request_line(line, length, out))
		return SNIFF_NOT;
	while (next_line(&next, end, &line, &length))
		if (length == 0 || read_host(line, length, out))
			return SNIFF_MATCH;
	return SNIFF_MORE;
}

enum sniff_result sniff_http2(const uint8_t *data, size_t size)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
	const size_t length = sizeof preface - 1;

	if (memcmp(data, preface, size < length ? size : length) != 0)
		return SNIFF_NOT;
	return size < length ? SNIFF_MORE : SNIFF_MATCH;
}
