/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/policy/reader.h"

#include "proxy/policy/time_span.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Bytes of a path to a field with its NUL. */
#define PATH_SIZE 512u

/* --- where the reader is */

static void push(struct reader *r, struct reader_step step)
{
	if (r->depth < READER_STEP_MAX)
		r->steps[r->depth] = step;
	r->depth++;
}

void reader_enter(struct reader *r, const char *key)
{
	push(r, (struct reader_step){.key = key});
}

void reader_enter_index(struct reader *r, size_t index)
{
	push(r, (struct reader_step){.index = index});
}

void reader_leave(struct reader *r)
{
	r->depth--;
}

static size_t step_count(const struct reader *r)
{
	return r->depth < READER_STEP_MAX ? r->depth : READER_STEP_MAX;
}

static void format_path(const struct reader *r, const char *field, char out[PATH_SIZE])
{
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = 0; i < step_count(r) + 1 && used < PATH_SIZE; i++) {
		const struct reader_step *step = &r->steps[i];
		const char *dot = used > 0 ? "." : "";
		int length = 0;

		if (i == step_count(r))
			length = *field != '\0' ? snprintf(out + used, PATH_SIZE - used, "%s%s", dot, field) : 0;
		else if (step->key != NULL)
			length = snprintf(out + used, PATH_SIZE - used, "%s%s", dot, step->key);
		else
			length = snprintf(out + used, PATH_SIZE - used, "[%zu]", step->index);
		used += length > 0 ? (size_t)length : 0;
	}
}

/* The line of the deepest part of the path that the document has. */
static unsigned find_line(const struct reader *r, const char *field)
{
	const struct node *node = r->root;
	unsigned line = node != NULL ? node->line : 0;

	for (size_t i = 0; i < step_count(r) + 1 && node != NULL; i++) {
		const struct reader_step *step = &r->steps[i];

		if (i == step_count(r))
			node = node_get(node, field);
		else
			node = step->key != NULL ? node_get(node, step->key) : node_at(node, step->index);
		if (node != NULL)
			line = node->line;
	}
	return line;
}

static void report(struct reader *r, enum report_severity severity, const char *field, const char *format, va_list arguments)
	__attribute__((format(printf, 4, 0)));

static void report(struct reader *r, enum report_severity severity, const char *field, const char *format, va_list arguments)
{
	char path[PATH_SIZE];
	struct report_place place = {.file = r->file, .resource = r->resource, .field = path};

	format_path(r, field, path);
	place.line = find_line(r, field);
	report_add_list(r->report, severity, &place, format, arguments);
}

void reader_error(struct reader *r, const char *field, const char *format, ...)
{
	va_list arguments;

	r->failed = true;
	va_start(arguments, format);
	report(r, REPORT_ERROR, field, format, arguments);
	va_end(arguments);
}

void reader_warn(struct reader *r, const char *field, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	report(r, REPORT_WARNING, field, format, arguments);
	va_end(arguments);
}

/* --- memory */

void *reader_no_memory(struct reader *r)
{
	if (!r->no_memory)
		reader_error(r, "", "no memory to read it");
	r->no_memory = true;
	return NULL;
}

void *reader_alloc(struct reader *r, size_t count, size_t size)
{
	void *memory = arena_array(r->arena, count, size);

	return memory != NULL ? memory : reader_no_memory(r);
}

/* Where a text is remembered. */
static const char **known_place(struct reader *r, const char *text, size_t length)
{
	uint32_t hash = UINT32_C(2166136261);

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)text[i]) * UINT32_C(16777619);
	return &r->known[(hash ^ hash >> 16) % READER_KNOWN_COUNT];
}

const char *reader_copy(struct reader *r, const char *text)
{
	size_t length = strlen(text);
	const char **known = length <= READER_KNOWN_LENGTH ? known_place(r, text, length) : NULL;
	const char *copy;

	if (known != NULL && *known != NULL && strcmp(*known, text) == 0)
		return *known;
	copy = arena_copy(r->arena, text, length);
	if (copy == NULL)
		return reader_no_memory(r);
	if (known != NULL)
		*known = copy;
	return copy;
}

/* --- objects and lists */

static const struct reader_field *find_field(const struct reader_field *fields, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(fields[i].name, name) == 0)
			return &fields[i];
	return NULL;
}

void reader_object(struct reader *r, const struct node *node, const struct reader_field *fields, size_t count,
	void *object)
{
	if (node->type != NODE_MAP) {
		reader_error(r, "", "must be an object");
		return;
	}
	for (const struct node_item *item = node->first; item != NULL && !r->no_memory; item = item->next) {
		const struct reader_field *field = find_field(fields, count, item->key);

		reader_enter(r, item->key);
		if (field == NULL)
			reader_warn(r, "", "unknown field, ignored");
		else if (field->read == NULL)
			reader_warn(r, "", "not supported, and has no effect");
		else if (!node_is_null(item->value))
			field->read(r, item->value, (char *)object + field->offset);
		reader_leave(r);
	}
}

void *reader_items(struct reader *r, const struct node *node, size_t size, reader_function *read, const char *null_text,
	size_t *ret_count)
{
	char *items;
	size_t i = 0;

	*ret_count = 0;
	if (node->type != NODE_LIST) {
		reader_error(r, "", "must be a list");
		return NULL;
	}
	if (node->count > READER_ITEM_MAX) {
		reader_error(r, "", "must have at most %u items", READER_ITEM_MAX);
		return NULL;
	}
	if (node->count == 0)
		return NULL;
	items = reader_alloc(r, node->count, size);
	if (items == NULL)
		return NULL;
	for (const struct node_item *item = node->first; item != NULL; item = item->next, i++) {
		reader_enter_index(r, i);
		if (node_is_null(item->value))
			reader_error(r, "", "%s", null_text);
		else
			read(r, item->value, items + i * size);
		reader_leave(r);
	}
	*ret_count = node->count;
	return items;
}

void *reader_new(struct reader *r, const struct node *node, size_t size, reader_function *read)
{
	void *object = reader_alloc(r, 1, size);

	if (object != NULL)
		read(r, node, object);
	return object;
}

/* --- plain types */

int reader_word(struct reader *r, const struct node *node, const char *const *words, size_t count, int otherwise)
{
	char valid[256] = "";
	size_t used = 0;

	for (size_t i = 0; i < count; i++) {
		int length;

		if (node->type == NODE_SCALAR && strcmp(node->text, words[i]) == 0)
			return (int)i;
		length = snprintf(valid + used, sizeof valid - used, "%s%s", i > 0 ? ", " : "", words[i]);
		used += length > 0 && (size_t)length < sizeof valid - used ? (size_t)length : 0;
	}
	if (node->type == NODE_SCALAR)
		reader_error(r, "", "unknown value \"%.100s\"; valid: %s", node->text, valid);
	else
		reader_error(r, "", "must be one of %s", valid);
	return otherwise;
}

const char *reader_scalar(struct reader *r, const struct node *node)
{
	if (node->type != NODE_SCALAR)
		reader_error(r, "", "must be a string");
	else if (node_meaning(node) != NODE_TEXT)
		reader_error(r, "", "must be a string: put %.100s in quotes", node->text);
	else
		return node->text;
	return NULL;
}

void reader_text(struct reader *r, const struct node *node, void *target)
{
	const char *scalar = reader_scalar(r, node);
	const char **text = target;

	if (scalar != NULL)
		*text = reader_copy(r, scalar);
}

void reader_texts(struct reader *r, const struct node *node, void *target)
{
	struct texts *texts = target;

	texts->items = reader_items(r, node, sizeof *texts->items, reader_text, "must be a string", &texts->count);
}

void reader_pairs(struct reader *r, const struct node *node, void *target)
{
	struct pairs *pairs = target;
	size_t i = 0;

	if (node->type != NODE_MAP) {
		reader_error(r, "", "must be an object of strings");
		return;
	}
	if (node->count == 0)
		return;
	pairs->items = reader_alloc(r, node->count, sizeof *pairs->items);
	if (pairs->items == NULL)
		return;
	for (const struct node_item *item = node->first; item != NULL; item = item->next, i++) {
		reader_enter(r, item->key);
		pairs->items[i].name = reader_copy(r, item->key);
		pairs->items[i].value = "";
		if (!node_is_null(item->value))
			reader_text(r, item->value, &pairs->items[i].value);
		reader_leave(r);
	}
	pairs->count = node->count;
}

void reader_boolean(struct reader *r, const struct node *node, void *target)
{
	bool *value = target;

	if (node_meaning(node) != NODE_BOOLEAN)
		reader_error(r, "", "must be true or false");
	else
		*value = node_boolean(node);
}

void reader_integer(struct reader *r, const struct node *node, void *target)
{
	int32_t *value = target;
	int64_t wide = 0;

	if (node_meaning(node) != NODE_INTEGER || node_integer(node, &wide) < 0 || wide < INT32_MIN || wide > INT32_MAX)
		reader_error(r, "", "must be an integer");
	else
		*value = (int32_t)wide;
}

void reader_number(struct reader *r, const struct node *node, void *target)
{
	struct number *number = target;

	number->is_set = true;
	reader_integer(r, node, &number->value);
}

void reader_real(struct reader *r, const struct node *node, void *target)
{
	enum node_meaning meaning = node_meaning(node);
	double *value = target;

	if ((meaning != NODE_INTEGER && meaning != NODE_NUMBER) || node_number(node, value) < 0)
		reader_error(r, "", "must be a number");
}

void reader_duration(struct reader *r, const struct node *node, void *target)
{
	struct duration *duration = target;

	if (node->type != NODE_SCALAR || time_span_parse(node->text, &duration->nanoseconds) < 0)
		reader_error(r, "", "must be a duration, such as 3s, 0.5s or 1m30s");
	else
		duration->is_set = true;
}

void reader_ignore(struct reader *r, const struct node *node, void *target)
{
	(void)r;
	(void)node;
	(void)target;
}
