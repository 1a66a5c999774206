/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/log/access_log.h"

#include "proxy/log/line.h"
#include "proxy/log/program.h"

#include <stdlib.h>
#include <string.h>

static inline void put_text_value(struct line *line, const struct operator_value *value)
{
	switch (value->type) {
	case OPERATOR_ABSENT:
		line_byte(line, '-');
		break;
	case OPERATOR_PLAIN:
		line_bytes(line, value->data, value->size);
		break;
	case OPERATOR_TEXT:
		line_escaped(line, (struct facts_text){value->data, value->size});
		break;
	case OPERATOR_NUMBER:
		line_number(line, value->size);
		break;
	}
}

static void put_json_value(struct line *line, const struct operator_value *value, bool is_alone)
{
	bool is_text = value->type == OPERATOR_PLAIN || value->type == OPERATOR_TEXT;

	if (value->type == OPERATOR_ABSENT && is_alone) {
		line_bytes(line, "null", 4);
	} else if (!is_text) {
		put_text_value(line, value);
	} else {
		if (is_alone)
			line_byte(line, '"');
		line_json(line, (struct facts_text){value->data, value->size});
		if (is_alone)
			line_byte(line, '"');
	}
}

static void put_operations(struct line *line, const struct format *format, const struct facts *facts)
{
	char scratch[OPERATOR_SCRATCH_SIZE];

	for (size_t i = 0; i < format->count; i++) {
		const struct operation *operation = &format->operations[i];
		struct operator_value value;

		line_few_bytes(line, operation->literal.data, operation->literal.size);
		if (operation->code == OPERATOR_NONE)
			continue;
		value.type = OPERATOR_ABSENT;
		if (facts->http != NULL || !operation->is_of_request)
			operator_value(&value, operation, facts, scratch);
		if (format->encoding == FORMAT_JSON)
			put_json_value(line, &value, operation->is_alone);
		else
			put_text_value(line, &value);
	}
}

/* One more column, before the newline, if the format has that. */
static void put_entry_column(struct line *line, const char *entry, bool ends_line)
{
	if (ends_line)
		line->used--;
	line_byte(line, ' ');
	line_bytes(line, entry, strlen(entry));
	if (ends_line)
		line_byte(line, '\n');
}

static void put_entry_key(struct line *line, const char *entry, bool is_first)
{
	static const char key[] = ",\"service_entry\":\"";

	line_bytes(line, key + is_first, sizeof key - 1 - is_first);
	line_json(line, (struct facts_text){entry, strlen(entry)});
	line_byte(line, '"');
}

size_t access_log_format(const struct format *format, char *out, size_t size, const struct facts *facts)
{
	const char *entry = format->has_service_entry ? NULL : facts->suggestion;
	struct line line = {out, size, 0};

	put_operations(&line, format, facts);
	if (format->encoding == FORMAT_JSON) {
		if (entry != NULL)
			put_entry_key(&line, entry, format->is_empty);
		line_bytes(&line, "}\n", 2);
	} else if (entry != NULL && facts->would_block) {
		put_entry_column(&line, entry, format->ends_line);
	}
	return line.used;
}

const char *access_log_flags(enum facts_end end)
{
	return operator_end_flags(end);
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
	free(names->failure);
	free(names);
	facts->names = NULL;
}
