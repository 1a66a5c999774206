/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http/writer.h"

/* Digits of the largest number. */
#define NUMBER_SIZE 20

void http_writer_put_number(struct http_writer *to, uint64_t number)
{
	char digits[NUMBER_SIZE];
	size_t start = sizeof digits;

	do {
		digits[--start] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	http_writer_put(to, (struct http_text){digits + start, sizeof digits - start});
}

void http_writer_put_lower(struct http_writer *to, struct http_text name)
{
	char *room = http_writer_extend(to, name.size);

	for (size_t i = 0; room != NULL && i < name.size; i++) {
		uint8_t c = (uint8_t)name.data[i];

		room[i] = (char)(c | ((uint8_t)(c - 'A') < 26) << 5);
	}
}

void http_writer_put_value(struct http_writer *to, const struct http_field *field)
{
	if (!field->folded) {
		http_writer_put(to, field->value);
		return;
	}
	for (size_t i = 0; i < field->value.size; i++)
		if (field->value.data[i] != '\r' && field->value.data[i] != '\n')
			http_writer_put_byte(to, field->value.data[i]);
}

void http_writer_put_header(struct http_writer *to, struct http_text name, struct http_text value)
{
	http_writer_put_lower(to, name);
	http_writer_put(to, HTTP_TEXT(": "));
	http_writer_put(to, value);
	http_writer_put(to, HTTP_TEXT("\r\n"));
}

void http_writer_put_field(struct http_writer *to, const struct http_head *head, unsigned place, unsigned joins)
{
	const struct http_field *field = &head->fields[place];
	bool joined = head->repeated && (http_name_flags(field->known) & joins) != 0;

	if (joined && place != head->first[field->known] - 1u)
		return;
	http_writer_put_lower(to, field->name);
	http_writer_put(to, HTTP_TEXT(": "));
	http_writer_put_value(to, field);
	for (unsigned i = place + 1; joined && i < head->count; i++) {
		if (head->fields[i].known != field->known)
			continue;
		http_writer_put_byte(to, ',');
		http_writer_put_value(to, &head->fields[i]);
	}
	http_writer_put(to, HTTP_TEXT("\r\n"));
}
