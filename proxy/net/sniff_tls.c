/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reader runs over the handshake message and steps over the headers of the records that carry it, so a hello that was
 * cut into many records reads like one. It fails once and stays failed: `missing` when the bytes end before the hello
 * does, `broken` when they cannot be a hello.
 */
#include "proxy/net/sniff_tls.h"

#include <stdbool.h>
#include <string.h>

#define RECORD_HANDSHAKE 22
#define RECORD_HEADER_SIZE 5
/* RFC 8446 section 5.1, with the slack that older versions were allowed. */
#define RECORD_SIZE_MAX (16384u + 2048u)
#define HANDSHAKE_CLIENT_HELLO 1
#define EXTENSION_SERVER_NAME 0
#define EXTENSION_ECH 0xfe0d
#define NAME_TYPE_HOST 0
/* A host name is at most 255 bytes; longer ones are not names. */
#define NAME_LENGTH_MAX 255

struct reader {
	const uint8_t *next;
	const uint8_t *end;
	size_t record_left; /* bytes of the current record */
	size_t hello_left;  /* bytes of the hello, once its length is known */
	size_t missing;     /* bytes that the step it failed at would still need; 0: none */
	bool broken;
};

static bool has_failed(const struct reader *reader)
{
	return reader->missing > 0 || reader->broken;
}

/* Steps over a record's header. An empty record carries nothing, and is not allowed for handshakes. */
static void next_record(struct reader *reader)
{
	size_t left = (size_t)(reader->end - reader->next);
	size_t size;

	if ((left > 0 && reader->next[0] != RECORD_HANDSHAKE) || (left > 1 && reader->next[1] != 3)) {
		reader->broken = true;
		return;
	}
	if (left < RECORD_HEADER_SIZE) {
		reader->missing = RECORD_HEADER_SIZE - left;
		return;
	}
	size = (size_t)reader->next[3] << 8 | reader->next[4];
	if (size == 0 || size > RECORD_SIZE_MAX) {
		reader->broken = true;
		return;
	}
	reader->next += RECORD_HEADER_SIZE;
	reader->record_left = size;
}

/* Takes `count` bytes, into `out` unless it is NULL. */
static void take(struct reader *reader, uint8_t *out, size_t count)
{
	if (!has_failed(reader) && count > reader->hello_left)
		reader->broken = true;
	while (count > 0 && !has_failed(reader)) {
		size_t piece;

		if (reader->record_left == 0) {
			next_record(reader);
			continue;
		}
		piece = (size_t)(reader->end - reader->next);
		piece = piece < reader->record_left ? piece : reader->record_left;
		piece = piece < count ? piece : count;
		if (piece == 0) {
			reader->missing = count;
			break;
		}
		if (out != NULL) {
			memcpy(out, reader->next, piece);
			out += piece;
		}
		reader->next += piece;
		reader->record_left -= piece;
		reader->hello_left -= piece;
		count -= piece;
	}
}

static size_t take_number(struct reader *reader, size_t bytes)
{
	uint8_t raw[3] = {0};
	size_t number = 0;

	take(reader, raw, bytes);
	for (size_t i = 0; i < bytes; i++)
		number = number << 8 | raw[i];
	return has_failed(reader) ? 0 : number;
}

/* Skips a vector whose length stands before it in `bytes` bytes. */
static void skip_vector(struct reader *reader, size_t bytes)
{
	take(reader, NULL, take_number(reader, bytes));
}

/* The name in lower case, or what is left of it. */
static void sanitise(const uint8_t *name, size_t length, char out[SNIFF_TLS_NAME_SIZE])
{
	static const char prefix[] = "invalid:";
	bool valid = true;
	char *text = out;

	for (size_t i = 0; i < length; i++)
		if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.", name[i]) == NULL || name[i] == 0)
			valid = false;
	if (!valid) {
		memcpy(text, prefix, sizeof prefix - 1);
		text += sizeof prefix - 1;
	}
	for (size_t i = 0; i < length; i++) {
		char c = (char)name[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		else if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.'))
			c = '_';
		*text++ = c;
	}
	*text = '\0';
}

/* The extension's list of names, of which the first counts; there is no other kind than host names. */
static void read_names(struct reader *reader, size_t size, char out[SNIFF_TLS_NAME_SIZE])
{
	uint8_t name[NAME_LENGTH_MAX];
	size_t list = take_number(reader, 2);
	size_t length;

	if (has_failed(reader))
		return;
	if (list + 2 != size || list < 3 || take_number(reader, 1) != NAME_TYPE_HOST) {
		reader->broken = true;
		return;
	}
	length = take_number(reader, 2);
	if (has_failed(reader))
		return;
	if (length + 3 > list || length > NAME_LENGTH_MAX) {
		reader->broken = true;
		return;
	}
	take(reader, name, length);
	if (has_failed(reader))
		return;
	sanitise(name, length, out);
	take(reader, NULL, list - 3 - length);
}

static void read_extensions(struct reader *reader, struct sniff_tls *out)
{
	size_t left = take_number(reader, 2);

	while (left >= 4 && !has_failed(reader)) {
		size_t type = take_number(reader, 2);
		size_t size = take_number(reader, 2);

		if (has_failed(reader))
			return;
		if (size + 4 > left) {
			reader->broken = true;
			return;
		}
		left -= size + 4;
		if (type == EXTENSION_ECH)
			out->has_ech = true;
		if (type == EXTENSION_SERVER_NAME && out->name[0] == '\0')
			read_names(reader, size, out->name);
		else
			take(reader, NULL, size);
	}
}

enum sniff_result sniff_tls(const uint8_t *data, size_t size, struct sniff_tls *out)
{
	struct reader reader = {.next = data, .end = data + size, .hello_left = 4};
	size_t length;

	out->name[0] = '\0';
	out->has_ech = false;
	if (take_number(&reader, 1) != HANDSHAKE_CLIENT_HELLO && reader.missing == 0)
		reader.broken = true;
	length = take_number(&reader, 3);
	if (!has_failed(&reader) && length > SNIFF_TLS_HELLO_MAX)
		reader.broken = true;
	reader.hello_left = length;
	take(&reader, NULL, 2 + 32); /* version, random */
	skip_vector(&reader, 1);     /* session ID */
	skip_vector(&reader, 2);     /* cipher suites */
	skip_vector(&reader, 1);     /* compression methods */
	/* Before TLS 1.2 a hello could end here. */
	if (!has_failed(&reader) && reader.hello_left > 0)
		read_extensions(&reader, out);
	out->missing = reader.missing;
	if (reader.broken)
		return out->name[0] != '\0' ? SNIFF_MATCH : SNIFF_NOT;
	return reader.missing > 0 ? SNIFF_MORE : SNIFF_MATCH;
}
