/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Classes of bytes, and the bytes that escapes stand for.
 */
#include "proxy/policy/pattern_compiler.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

static void class_add(struct pattern_class *class, unsigned first, unsigned last)
{
	for (unsigned i = first; i <= last; i++)
		class->bits[i / 32] |= UINT32_C(1) << (i % 32);
}

static void class_merge(struct pattern_class *class, const struct pattern_class *other, bool negated)
{
	for (unsigned i = 0; i < 8; i++)
		class->bits[i] |= negated ? ~other->bits[i] : other->bits[i];
}

static void class_fold(struct pattern_class *class)
{
	for (unsigned c = 'a'; c <= 'z'; c++) {
		unsigned upper = c - 'a' + 'A';

		if ((class->bits[c / 32] >> (c % 32) & 1) != 0 || (class->bits[upper / 32] >> (upper % 32) & 1) != 0) {
			class_add(class, c, c);
			class_add(class, upper, upper);
		}
	}
}

static int emit_class(struct pattern_compiler *c, const struct pattern_class *class)
{
	if (c->class_count == PATTERN_CLASS_MAX)
		return pattern_fail(c, "expression has too many classes");
	c->classes[c->class_count] = *class;
	return pattern_emit(c, PATTERN_CLASS, 0, (int)c->class_count++, 0);
}

/* \d \w \s, and their opposites in capitals. Returns false for another letter. */
static bool named_class(char letter, struct pattern_class *ret_class)
{
	struct pattern_class class = {{0}};

	switch (tolower((unsigned char)letter)) {
	case 'd':
		class_add(&class, '0', '9');
		break;
	case 'w':
		class_add(&class, '0', '9');
		class_add(&class, 'a', 'z');
		class_add(&class, 'A', 'Z');
		class_add(&class, '_', '_');
		break;
	case 's':
		class_add(&class, '\t', '\n');
		class_add(&class, '\f', '\r');
		class_add(&class, ' ', ' ');
		break;
	default:
		return false;
	}
	class_merge(ret_class, &class, isupper((unsigned char)letter) != 0);
	return true;
}

/* [:alpha:] and its sisters; `c->next` is behind "[:". */
static int posix_class(struct pattern_compiler *c, struct pattern_class *class)
{
	static const struct {
		const char *name;
		int (*is)(int);
	} names[] = {{"alnum", isalnum}, {"alpha", isalpha}, {"blank", isblank}, {"cntrl", iscntrl}, {"digit", isdigit},
		{"graph", isgraph}, {"lower", islower}, {"print", isprint}, {"punct", ispunct}, {"space", isspace},
		{"upper", isupper}, {"xdigit", isxdigit}};
	bool negated = *c->next == '^';
	struct pattern_class members = {{0}};

	c->next += negated ? 1 : 0;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		size_t length = strlen(names[i].name);

		if (strncmp(c->next, names[i].name, length) != 0 || strncmp(c->next + length, ":]", 2) != 0)
			continue;
		for (unsigned byte = 0; byte < 128; byte++)
			if (names[i].is((int)byte) != 0)
				class_add(&members, byte, byte);
		class_merge(class, &members, negated);
		c->next += length + 2;
		return 0;
	}
	return pattern_fail(c, "invalid character class range");
}

static int hex_digit(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	if (tolower((unsigned char)digit) >= 'a' && tolower((unsigned char)digit) <= 'f')
		return tolower((unsigned char)digit) - 'a' + 10;
	return -1;
}

/* \xHH and \x{H...}; `c->next` is behind the x. Returns the byte or -EINVAL. */
static int hex_byte(struct pattern_compiler *c)
{
	bool braces = *c->next == '{';
	int value = 0;
	int digits = 0;

	c->next += braces ? 1 : 0;
	for (; hex_digit(*c->next) >= 0 && digits < (braces ? 8 : 2); digits++)
		value = (value * 16 + hex_digit(*c->next++)) & 0xffff;
	if (digits == 0 || (!braces && digits < 2) || (braces && *c->next++ != '}') || value > 0x7f)
		return pattern_fail(c, "invalid escape sequence");
	return value;
}

int pattern_escaped_byte(struct pattern_compiler *c)
{
	static const char letters[] = "aftnrv";
	static const char bytes[] = "\a\f\t\n\r\v";
	char letter = *c->next;

	if (letter == '\0')
		return pattern_fail(c, "trailing backslash at end of expression");
	c->next++;
	if (letter == 'x')
		return hex_byte(c);
	if (strchr(letters, letter) != NULL)
		return bytes[strchr(letters, letter) - letters];
	if (ispunct((unsigned char)letter) != 0)
		return letter;
	return pattern_fail(c, "invalid escape sequence");
}

/* One byte inside brackets. Returns it or -EINVAL. */
static int class_byte(struct pattern_compiler *c)
{
	if (*c->next == '\0')
		return pattern_fail(c, "missing closing ]");
	if ((unsigned char)*c->next > 0x7f)
		return pattern_fail(c, "a class of characters beyond ASCII is not supported");
	if (*c->next == '\\') {
		c->next++;
		return pattern_escaped_byte(c);
	}
	return *c->next++;
}

static int class_range(struct pattern_compiler *c, struct pattern_class *class)
{
	int first = class_byte(c);
	int last = first;

	if (first >= 0 && c->next[0] == '-' && c->next[1] != ']' && c->next[1] != '\0') {
		c->next++;
		last = class_byte(c);
	}
	if (first < 0 || last < 0)
		return -EINVAL;
	if (last < first)
		return pattern_fail(c, "invalid character class range");
	class_add(class, (unsigned)first, (unsigned)last);
	return 0;
}

int pattern_compile_class(struct pattern_compiler *c)
{
	struct pattern_class class = {{0}};
	struct pattern_class negative = {{0}};
	bool negated = *c->next == '^';
	bool first = true;

	c->next += negated ? 1 : 0;
	for (; first || *c->next != ']'; first = false) {
		int rc = 0;

		if (c->next[0] == '[' && c->next[1] == ':') {
			c->next += 2;
			rc = posix_class(c, &class);
		} else if (c->next[0] == '\\' && named_class(c->next[1], &class)) {
			c->next += 2;
		} else {
			rc = class_range(c, &class);
		}
		if (rc < 0)
			return rc;
	}
	c->next++;
	if (c->fold)
		class_fold(&class);
	class_merge(&negative, &class, true);
	return emit_class(c, negated ? &negative : &class);
}

int pattern_compile_named(struct pattern_compiler *c)
{
	struct pattern_class class = {{0}};

	if (!named_class(*c->next, &class))
		return 1;
	c->next++;
	return emit_class(c, &class);
}
