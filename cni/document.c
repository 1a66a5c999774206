/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/document.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* --- in */

static int read_stdin(FILE *in, char **ret_text, size_t *ret_length, struct reply *reply)
{
	size_t capacity = 16384;
	size_t length = 0;
	char *text = malloc(capacity);

	while (text != NULL) {
		char *larger;

		/* Less than asked for is the end, or an error. */
		length += fread(text + length, 1, capacity - length, in);
		if (length < capacity || length > DOCUMENT_SIZE_MAX)
			break;
		larger = realloc(text, capacity * 2);
		if (larger == NULL)
			free(text);
		text = larger;
		capacity *= 2;
	}
	if (text == NULL)
		return reply_fail(reply, REPLY_IO, error_set(&reply->error, ENOMEM, "no memory for stdin"));
	if (ferror(in) || length > DOCUMENT_SIZE_MAX) {
		free(text);
		return reply_fail(reply, REPLY_IO, error_set(&reply->error, EIO,
			ferror(in) ? "cannot read stdin" : "stdin is longer than %u bytes", DOCUMENT_SIZE_MAX));
	}
	*ret_text = text;
	*ret_length = length;
	return 0;
}

/* What json-c made of stdin. */
struct decoded {
	struct json_object *root; /* owned */
	enum json_tokener_error why;
	size_t end; /* of the value, and of the blanks behind it; or where it went wrong */
};

static int decode_once(const char *text, size_t length, int flags, struct decoded *ret, struct reply *reply)
{
	struct json_tokener *tokener = json_tokener_new_ex(DOCUMENT_DEPTH_MAX);

	if (tokener == NULL)
		return reply_fail(reply, REPLY_IO, error_set(&reply->error, ENOMEM, "no memory to decode stdin"));
	json_tokener_set_flags(tokener, flags);
	ret->root = json_tokener_parse_ex(tokener, text, (int)length);
	ret->why = json_tokener_get_error(tokener);
	ret->end = json_tokener_get_parse_end(tokener);
	json_tokener_free(tokener);
	while (ret->why == json_tokener_success && ret->end < length && text[ret->end] != '\0' &&
		strchr(" \t\r\n", text[ret->end]) != NULL)
		ret->end++;
	return 0;
}

static bool has_high_bytes(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)text[i] > 0x7f)
			return true;
	return false;
}

/* As decode_once(), of a copy whose bytes above 0x7f are letters. */
static int decode_masked(const char *text, size_t length, struct decoded *ret, struct reply *reply)
{
	char *masked = malloc(length);
	int rc;

	if (masked == NULL)
		return reply_fail(reply, REPLY_IO, error_set(&reply->error, ENOMEM, "no memory to decode stdin"));
	for (size_t i = 0; i < length; i++)
		masked[i] = (unsigned char)text[i] > 0x7f ? 'x' : text[i];
	rc = decode_once(masked, length, JSON_TOKENER_STRICT, ret, reply);
	free(masked);
	return rc;
}

/*
 * Nothing but JSON is taken. A strict json-c 0.18 takes every byte above 0x7f for a control character (json-c issue 892),
 * in the best of UTF-8: text that has some is looked at strictly without them, and then leniently as it is.
 */
static int decode_strictly(const char *text, size_t length, struct decoded *ret, struct reply *reply)
{
	int rc;

	if (!has_high_bytes(text, length))
		return decode_once(text, length, JSON_TOKENER_STRICT, ret, reply);
	rc = decode_masked(text, length, ret, reply);
	if (rc < 0 || ret->why != json_tokener_success || ret->end != length)
		return rc;
	(void)json_object_put(ret->root);
	return decode_once(text, length, JSON_TOKENER_VALIDATE_UTF8, ret, reply);
}

/* Whether the text begins with the one value that json-c has no object for. */
static bool is_null(const char *text, size_t length)
{
	while (length > 0 && *text != '\0' && strchr(" \t\r\n", *text) != NULL)
		text++, length--;
	return length >= 4 && strncasecmp(text, "null", 4) == 0;
}

static int decode(const char *text, size_t length, struct json_object **ret_root, struct reply *reply)
{
	struct decoded decoded = {.root = NULL};
	int rc = decode_strictly(text, length, &decoded, reply);

	if (rc < 0)
		return rc;
	if (decoded.why == json_tokener_success && decoded.end == length && json_object_is_type(decoded.root, json_type_object)) {
		*ret_root = decoded.root;
		return 0;
	}
	(void)json_object_put(decoded.root);
	/* json-c before 0.17 has no error for this. */
	if (decoded.why == json_tokener_success && decoded.root == NULL && !is_null(text, length))
		return reply_fail(reply, REPLY_IO, error_set(&reply->error, ENOMEM, "no memory to decode stdin"));
	if (decoded.why == json_tokener_continue)
		(void)error_set(&reply->error, EINVAL, "stdin is not JSON: it ends in the middle, after %zu bytes", decoded.end);
	else if (decoded.why != json_tokener_success)
		(void)error_set(&reply->error, EINVAL, "stdin is not JSON: %s at byte %zu",
			json_tokener_error_desc(decoded.why), decoded.end);
	else if (decoded.end < length)
		(void)error_set(&reply->error, EINVAL, "stdin holds more than one JSON value, from byte %zu on", decoded.end);
	else
		(void)error_set(&reply->error, EINVAL, "stdin is no JSON object (%zu bytes)", decoded.end);
	return reply_fail(reply, REPLY_UNDECODABLE, -EINVAL);
}

int document_read(FILE *in, struct json_object **ret_root, struct reply *reply)
{
	size_t length = 0;
	char *text = NULL;
	int rc = read_stdin(in, &text, &length, reply);

	if (rc == 0)
		rc = decode(text, length, ret_root, reply);
	free(text);
	return rc;
}

/* --- out */

/* Where memory is short, json-c leaves out what does not fit, and says nothing: the text is read again. */
int document_render(struct json_object *value, const char **ret_text, struct reply *reply)
{
	struct json_object *again = NULL;
	const char *text =
		json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	bool whole;

	if (text != NULL)
		again = json_tokener_parse(text);
	whole = again != NULL && json_object_equal(again, value) != 0;
	(void)json_object_put(again);
	if (!whole)
		return reply_fail(reply, REPLY_IO, error_set(&reply->error, ENOMEM, "no memory to write the result"));
	*ret_text = text;
	return 0;
}
