/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A format in JSON (RFC 8259) is copied without blanks, and in its order. Texts keep their escapes, since what comes out
 * is JSON, too; names stay as they are. A text that is one operator and nothing else becomes a value of the operator's
 * type, so it loses its quotes here.
 */
#include "proxy/log/program.h"

#include <errno.h>
#include <string.h>

/* Objects and lists in one another. */
#define DEPTH_MAX 16

static int read_value(struct program_reader *reader, unsigned depth, struct error *e);

static void skip_blanks(struct program_reader *reader)
{
	while (reader->at < reader->end && strchr(" \t\r\n", *reader->at) != NULL && *reader->at != '\0')
		reader->at++;
}

/* The next byte that is no blank; NUL at the end. */
static char next(struct program_reader *reader)
{
	skip_blanks(reader);
	return reader->at < reader->end ? *reader->at : '\0';
}

static void copy(struct program_reader *reader)
{
	program_put(reader, *reader->at++);
}

/* --- texts */

static int copy_escape(struct program_reader *reader, struct error *e)
{
	size_t left = (size_t)(reader->end - reader->at);
	size_t size = left >= 2 && reader->at[1] == 'u' ? 6 : 2;

	if (left < size || reader->at[1] == '\0' || strchr("\"\\/bfnrtu", reader->at[1]) == NULL ||
		(size == 6 && strspn(reader->at + 2, "0123456789abcdefABCDEF") < 4))
		return program_fail(reader, e, "no escape of JSON");
	for (size_t i = 0; i < size; i++)
		copy(reader);
	return 0;
}

static int copy_byte(struct program_reader *reader, struct error *e)
{
	if (*reader->at == '\\')
		return copy_escape(reader, e);
	if ((unsigned char)*reader->at < 0x20)
		return program_fail(reader, e, "a control character in a text of JSON; valid is \\n, \\t or \\u00XX");
	copy(reader);
	return 0;
}

static int copy_text(struct program_reader *reader, bool has_operators, struct error *e)
{
	int rc = 0;

	copy(reader);
	while (rc == 0 && reader->at < reader->end && *reader->at != '"')
		rc = has_operators && *reader->at == '%' ? program_percent(reader, false, e) : copy_byte(reader, e);
	if (rc == 0 && reader->at == reader->end)
		return program_fail(reader, e, "a text is not closed");
	if (rc == 0)
		copy(reader);
	return rc;
}

static int read_text(struct program_reader *reader, struct error *e)
{
	struct program_reader inside = *reader;
	int rc;

	inside.at++;
	if (!program_is_alone(&inside, '"'))
		return copy_text(reader, true, e);
	reader->at++;
	rc = program_percent(reader, true, e);
	/* The closing quote: the literal had not begun. */
	reader->at++;
	reader->literal = reader->out = reader->at;
	return rc;
}

/* --- other values */

static bool copy_digits(struct program_reader *reader)
{
	const char *from = reader->at;

	while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9')
		copy(reader);
	return reader->at > from;
}

static bool copy_one_of(struct program_reader *reader, const char *bytes)
{
	if (reader->at == reader->end || *reader->at == '\0' || strchr(bytes, *reader->at) == NULL)
		return false;
	copy(reader);
	return true;
}

static int read_number(struct program_reader *reader, struct error *e)
{
	bool is_valid;

	(void)copy_one_of(reader, "-");
	is_valid = copy_one_of(reader, "0") || copy_digits(reader);
	if (is_valid && copy_one_of(reader, "."))
		is_valid = copy_digits(reader);
	if (is_valid && copy_one_of(reader, "eE")) {
		(void)copy_one_of(reader, "+-");
		is_valid = copy_digits(reader);
	}
	return is_valid ? 0 : program_fail(reader, e, "no value of JSON");
}

static bool copy_word(struct program_reader *reader, const char *word)
{
	size_t size = strlen(word);

	if ((size_t)(reader->end - reader->at) < size || memcmp(reader->at, word, size) != 0)
		return false;
	for (size_t i = 0; i < size; i++)
		copy(reader);
	return true;
}

static int read_name(struct program_reader *reader, struct error *e)
{
	int rc;

	if (next(reader) != '"')
		return program_fail(reader, e, "a name in quotes is missing");
	rc = copy_text(reader, false, e);
	if (rc < 0)
		return rc;
	if (next(reader) != ':')
		return program_fail(reader, e, "a colon is missing");
	copy(reader);
	return 0;
}

/* The inside of an object or a list, up to the closing bracket, which is next. */
static int read_items(struct program_reader *reader, char close, unsigned depth, struct error *e)
{
	int rc = 0;

	if (depth > DEPTH_MAX)
		return program_fail(reader, e, "objects lie too deep in one another; 16 are valid");
	copy(reader);
	if (next(reader) == close)
		return 0;
	for (;;) {
		if (close == '}')
			rc = read_name(reader, e);
		if (rc == 0)
			rc = read_value(reader, depth, e);
		if (rc < 0 || next(reader) == close)
			return rc;
		if (*reader->at != ',' || reader->at == reader->end)
			return program_fail(reader, e, "a comma or a closing bracket is missing");
		copy(reader);
	}
}

static int read_value(struct program_reader *reader, unsigned depth, struct error *e)
{
	char first = next(reader);
	int rc;

	if (first == '"')
		return read_text(reader, e);
	if (first != '{' && first != '[')
		return copy_word(reader, "true") || copy_word(reader, "false") || copy_word(reader, "null")
			       ? 0
			       : read_number(reader, e);
	rc = read_items(reader, first == '{' ? '}' : ']', depth + 1, e);
	if (rc == 0)
		copy(reader);
	return rc;
}

int program_json(struct program_reader *reader, struct error *e)
{
	int rc;

	if (next(reader) != '{')
		return program_fail(reader, e, "the format has to be an object of JSON, as {\"NAME\": \"%OPERATOR%\"}");
	rc = read_items(reader, '}', 1, e);
	if (rc < 0)
		return rc;
	reader->format->is_empty = reader->format->count == 0 && reader->out - reader->literal == 1;
	reader->at++;
	if (next(reader) != '\0' || reader->at < reader->end)
		return program_fail(reader, e, "something follows the object");
	return 0;
}
