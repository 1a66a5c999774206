/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libyaml gives events; a stack of open lists and maps makes a tree of them. An alias stands for the node itself, not
 * for a copy; what bounds the document is the weight, which counts that node again.
 */
#include "proxy/policy/yaml.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include <yaml.h>

struct frame {
	struct node *node;
	struct node_item **tail;
	const char *key;    /* a map's, which waits for its value */
	const char *anchor; /* known from the end of the node on, so that none holds itself */
};

struct anchor {
	const char *name;
	struct node *node;
};

struct builder {
	struct arena *arena;
	struct error *error;
	unsigned first_line;
	unsigned line; /* of the event */
	struct frame frames[YAML_DEPTH_MAX];
	size_t depth;
	struct anchor anchors[YAML_ANCHOR_MAX];
	size_t anchor_count;
	size_t weight;
	struct node *root;
};

/* --- documents */

struct yaml_cursor yaml_begin(const char *text, size_t length)
{
	static const char mark[] = "\xef\xbb\xbf"; /* of UTF-8, from editors that write it; libyaml counts it as a column */
	size_t size = length >= sizeof mark - 1 && memcmp(text, mark, sizeof mark - 1) == 0 ? sizeof mark - 1 : 0;

	text += size;
	length -= size;
	return (struct yaml_cursor){.next = text, .end = text + length, .line = 1};
}

static const char *line_end(const char *line, const char *end)
{
	const char *newline = memchr(line, '\n', (size_t)(end - line));

	return newline != NULL ? newline + 1 : end;
}

/* "---" in the first column begins a document, whatever it stands in. */
static bool is_marker(const char *line, const char *end)
{
	return end - line >= 3 && memcmp(line, "---", 3) == 0 && (end - line == 3 || strchr(" \t\r\n", line[3]) != NULL);
}

/* A directive stands between documents; the versions that there are read alike, and tags of one's own are refused. */
static bool is_directive(const char *line, const char *end)
{
	return line < end && *line == '%';
}

bool yaml_next(struct yaml_cursor *cursor, struct yaml_document *ret_document)
{
	const char *start;
	const char *line;

	while (cursor->next < cursor->end && is_directive(cursor->next, cursor->end)) {
		cursor->next = line_end(cursor->next, cursor->end);
		cursor->line++;
	}
	if (cursor->next == cursor->end)
		return false;
	start = line = cursor->next;
	*ret_document = (struct yaml_document){.text = start, .line = cursor->line};
	do {
		line = line_end(line, cursor->end);
		cursor->line++;
	} while (line < cursor->end && !is_marker(line, cursor->end));
	ret_document->length = (size_t)(line - start);
	cursor->next = line;
	return true;
}

/* --- nodes */

static int fail(struct builder *builder, int code, const char *text)
{
	return error_set(builder->error, code, "%s", text);
}

static struct node *new_node(struct builder *builder, enum node_type type)
{
	struct node *node = arena_alloc(builder->arena, sizeof *node);

	if (node == NULL) {
		(void)fail(builder, ENOMEM, "no memory for the document");
		return NULL;
	}
	node->type = type;
	node->line = builder->line;
	node->weight = 1;
	return node;
}

static int add_weight(struct builder *builder, size_t weight)
{
	builder->weight += weight;
	if (builder->weight > YAML_NODE_MAX)
		return error_set(builder->error, E2BIG, "the document has more than %u nodes, aliases counted as what they "
							"stand for", YAML_NODE_MAX);
	return 0;
}

/* Puts a finished value, or a list or map that is opened, in its place. */
static int place(struct builder *builder, struct node *node)
{
	struct frame *frame = builder->depth > 0 ? &builder->frames[builder->depth - 1] : NULL;
	struct node_item *item;

	if (frame == NULL) {
		builder->root = node;
		return 0;
	}
	item = arena_alloc(builder->arena, sizeof *item);
	if (item == NULL)
		return fail(builder, ENOMEM, "no memory for the document");
	item->key = frame->key;
	item->value = node;
	*frame->tail = item;
	frame->tail = &item->next;
	frame->node->count++;
	frame->key = NULL;
	return 0;
}

static int set_anchor(struct builder *builder, const char *name, struct node *node)
{
	size_t i = 0;

	if (name == NULL)
		return 0;
	while (i < builder->anchor_count && strcmp(builder->anchors[i].name, name) != 0)
		i++;
	if (i == YAML_ANCHOR_MAX)
		return error_set(builder->error, E2BIG, "the document has more than %u anchors", YAML_ANCHOR_MAX);
	builder->anchors[i] = (struct anchor){name, node};
	if (i == builder->anchor_count)
		builder->anchor_count++;
	return 0;
}

static int copy_anchor(struct builder *builder, const yaml_char_t *anchor, const char **ret_name)
{
	const char *name = (const char *)anchor;

	*ret_name = NULL;
	if (name == NULL)
		return 0;
	*ret_name = arena_copy(builder->arena, name, strlen(name));
	return *ret_name != NULL ? 0 : fail(builder, ENOMEM, "no memory for the document");
}

/* A tag is no way to make a value something that its field does not want. */
static int check_tag(struct builder *builder, const yaml_char_t *tag, bool *ret_is_text)
{
	static const char *const known[] = {YAML_NULL_TAG, YAML_BOOL_TAG, YAML_INT_TAG, YAML_FLOAT_TAG, YAML_SEQ_TAG,
		YAML_MAP_TAG};
	const char *text = (const char *)tag;

	*ret_is_text = text != NULL && (strcmp(text, YAML_STR_TAG) == 0 || strcmp(text, "!") == 0);
	if (text == NULL || *ret_is_text)
		return 0;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strcmp(text, known[i]) == 0)
			return 0;
	return error_set(builder->error, EINVAL, "tag %.64s is not supported", text);
}

static bool waits_for_key(const struct builder *builder)
{
	const struct frame *frame = builder->depth > 0 ? &builder->frames[builder->depth - 1] : NULL;

	return frame != NULL && frame->node->type == NODE_MAP && frame->key == NULL;
}

static int read_key(struct builder *builder, const yaml_event_t *event)
{
	struct frame *frame = &builder->frames[builder->depth - 1];
	const char *key = (const char *)event->data.scalar.value;

	if (strlen(key) != event->data.scalar.length)
		return fail(builder, EINVAL, "a key holds a NUL");
	if (strcmp(key, "<<") == 0 && event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
		return fail(builder, EINVAL, "merge keys (<<) are not supported");
	if (node_get(frame->node, key) != NULL)
		return error_set(builder->error, EINVAL, "key \"%.128s\" is already set", key);
	if (frame->node->count >= YAML_KEY_MAX)
		return error_set(builder->error, E2BIG, "more than %u keys", YAML_KEY_MAX);
	frame->key = arena_copy(builder->arena, key, event->data.scalar.length);
	return frame->key != NULL ? 0 : fail(builder, ENOMEM, "no memory for the document");
}

static int read_scalar(struct builder *builder, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	size_t length = event->data.scalar.length;
	const char *anchor = NULL;
	struct node *node;
	bool is_text;
	int rc = check_tag(builder, event->data.scalar.tag, &is_text);

	if (rc == 0 && waits_for_key(builder))
		return event->data.scalar.anchor == NULL ? read_key(builder, event) : fail(builder, EINVAL, "an anchor at a key");
	if (rc == 0)
		rc = add_weight(builder, 1);
	if (rc == 0)
		rc = copy_anchor(builder, event->data.scalar.anchor, &anchor);
	if (rc < 0)
		return rc;
	if (memchr(text, '\0', length) != NULL)
		return fail(builder, EINVAL, "a text holds a NUL");
	node = new_node(builder, NODE_SCALAR);
	if (node == NULL)
		return -ENOMEM;
	node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !is_text;
	node->count = length;
	node->text = arena_copy(builder->arena, text, length);
	if (node->text == NULL)
		return fail(builder, ENOMEM, "no memory for the document");
	rc = set_anchor(builder, anchor, node);
	return rc == 0 ? place(builder, node) : rc;
}

static int read_alias(struct builder *builder, const char *name)
{
	if (waits_for_key(builder))
		return fail(builder, EINVAL, "an alias as a key");
	for (size_t i = 0; i < builder->anchor_count; i++) {
		struct node *node = builder->anchors[i].node;
		int rc;

		if (strcmp(builder->anchors[i].name, name) != 0)
			continue;
		rc = add_weight(builder, node->weight);
		return rc == 0 ? place(builder, node) : rc;
	}
	return error_set(builder->error, EINVAL, "alias *%.64s stands for nothing", name);
}

static int open_node(struct builder *builder, enum node_type type, const yaml_char_t *anchor, const yaml_char_t *tag)
{
	struct frame frame = {.node = NULL};
	bool is_text;
	int rc = check_tag(builder, tag, &is_text);

	if (rc < 0)
		return rc;
	if (waits_for_key(builder))
		return fail(builder, EINVAL, "a key must be a text");
	if (builder->depth == YAML_DEPTH_MAX)
		return error_set(builder->error, E2BIG, "the document nests deeper than %u", YAML_DEPTH_MAX);
	rc = add_weight(builder, 1);
	if (rc == 0)
		rc = copy_anchor(builder, anchor, &frame.anchor);
	if (rc < 0)
		return rc;
	frame.node = new_node(builder, type);
	if (frame.node == NULL)
		return -ENOMEM;
	/* The weight of what comes is what the builder's grows by. */
	frame.node->weight = builder->weight;
	rc = place(builder, frame.node);
	if (rc < 0)
		return rc;
	frame.tail = &frame.node->first;
	builder->frames[builder->depth++] = frame;
	return 0;
}

static int close_node(struct builder *builder)
{
	struct frame *frame;

	/* libyaml closes only what it has opened. */
	assert(builder->depth > 0 && builder->frames[builder->depth - 1].node != NULL);
	frame = &builder->frames[--builder->depth];
	frame->node->weight = builder->weight - frame->node->weight + 1;
	return set_anchor(builder, frame->anchor, frame->node);
}

/* --- events */

static int read_event(struct builder *builder, const yaml_event_t *event)
{
	builder->line = builder->first_line + (unsigned)event->start_mark.line;
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return read_scalar(builder, event);
	case YAML_ALIAS_EVENT:
		return read_alias(builder, (const char *)event->data.alias.anchor);
	case YAML_SEQUENCE_START_EVENT:
		return open_node(builder, NODE_LIST, event->data.sequence_start.anchor, event->data.sequence_start.tag);
	case YAML_MAPPING_START_EVENT:
		return open_node(builder, NODE_MAP, event->data.mapping_start.anchor, event->data.mapping_start.tag);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return close_node(builder);
	case YAML_DOCUMENT_START_EVENT:
		return builder->root == NULL ? 0 : fail(builder, EINVAL, "a second value in one document");
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_STREAM_END_EVENT:
	case YAML_DOCUMENT_END_EVENT:
		break;
	}
	return 0;
}

static int syntax_error(struct builder *builder, const yaml_parser_t *parser)
{
	if (parser->error == YAML_MEMORY_ERROR)
		return fail(builder, ENOMEM, "no memory for the document");
	builder->line = builder->first_line + (unsigned)parser->problem_mark.line;
	return error_set(builder->error, EINVAL, "neither YAML nor JSON: %s%s%s, column %zu",
		parser->problem != NULL ? parser->problem : "unreadable", parser->context != NULL ? " " : "",
		parser->context != NULL ? parser->context : "", parser->problem_mark.column + 1);
}

static int read_all(struct builder *builder, yaml_parser_t *parser)
{
	bool done = false;
	int rc = 0;

	while (!done && rc == 0) {
		yaml_event_t event;

		if (yaml_parser_parse(parser, &event) == 0)
			return syntax_error(builder, parser);
		rc = read_event(builder, &event);
		done = event.type == YAML_STREAM_END_EVENT;
		yaml_event_delete(&event);
	}
	return rc;
}

int yaml_read(const struct yaml_document *document, struct arena *arena, struct node **ret_root, unsigned *ret_line,
	struct error *e)
{
	struct builder builder = {.arena = arena, .error = e, .first_line = document->line, .line = document->line};
	yaml_parser_t parser;
	int rc;

	if (yaml_parser_initialize(&parser) == 0)
		return error_set(e, ENOMEM, "no memory for the document");
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)document->text, document->length);
	rc = read_all(&builder, &parser);
	yaml_parser_delete(&parser);
	if (rc < 0) {
		*ret_line = builder.line;
		return rc;
	}
	assert(builder.depth == 0);
	*ret_root = builder.root;
	return 0;
}
