/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/policy/name.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

static bool is_alphanumeric(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_label(const char *text, size_t length)
{
	if (length == 0 || length > NAME_LABEL_MAX || !is_alphanumeric(text[0]) || !is_alphanumeric(text[length - 1]))
		return false;
	for (size_t i = 0; i < length; i++)
		if (!is_alphanumeric(text[i]) && text[i] != '-')
			return false;
	return true;
}

static bool is_wildcard_label(const char *text, size_t length)
{
	if (length > NAME_LABEL_MAX || length == 0 || *text != '*')
		return is_label(text, length);
	if (length == 1)
		return true;
	if (text[1] == '-')
		return is_label(text + 2, length - 2);
	return is_label(text + 1, length - 1);
}

bool name_is_label(const char *text)
{
	return is_label(text, strlen(text));
}

bool name_is_wildcard(const char *host)
{
	return *host == '*';
}

static int check_size(const char *name, struct error *e)
{
	if (strlen(name) > NAME_LENGTH_MAX)
		return error_set(e, EINVAL, "domain name \"%.300s\" too long (max 255)", name);
	if (*name == '\0')
		return error_set(e, EINVAL, "empty domain name not allowed");
	return 0;
}

static bool is_numeric(const char *text)
{
	size_t sign = *text == '-' || *text == '+' ? 1 : 0;

	return text[sign] != '\0' && text[sign + strspn(text + sign, "0123456789")] == '\0';
}

static int check_labels(const char *name, struct error *e)
{
	const char *last = strrchr(name, '.') != NULL ? strrchr(name, '.') + 1 : name;
	const char *label = name;

	if (is_numeric(last))
		return error_set(e, EINVAL, "domain name \"%s\" invalid (top level domain \"%s\" cannot be all-numeric)", name,
			last);
	for (;;) {
		size_t length = strcspn(label, ".");

		/* The dot at the end of a name that is complete. */
		if (label[length] == '\0' && length == 0)
			return 0;
		if (!is_label(label, length))
			return error_set(e, EINVAL, "domain name \"%s\" invalid (label \"%.*s\" invalid)", name, (int)length, label);
		if (label[length] == '\0')
			return 0;
		label += length + 1;
	}
}

int name_check_wildcard(const char *name, struct error *e)
{
	size_t length = strcspn(name, ".");
	int rc = check_size(name, e);

	if (rc < 0)
		return rc;
	if (!is_wildcard_label(name, length))
		return error_set(e, EINVAL, "domain name \"%s\" invalid (label \"%.*s\" invalid)", name, (int)length, name);
	return name[length] == '.' ? check_labels(name + length + 1, e) : 0;
}

int name_check_full(const char *name, struct error *e)
{
	int rc = check_size(name, e);

	return rc == 0 ? check_labels(name, e) : rc;
}

bool name_is_resolvable(const char *name)
{
	size_t length = strlen(name);
	size_t last;

	if (length > 0 && name[length - 1] == '.')
		length--;
	if (length == 0 || length > NAME_RESOLVABLE_MAX)
		return false;
	for (last = length; last > 0 && name[last - 1] >= '0' && name[last - 1] <= '9'; last--)
		;
	return last == length || (last > 0 && name[last - 1] != '.');
}

static bool has_suffix(const char *text, const char *suffix)
{
	size_t length = strlen(text);
	size_t suffix_length = strlen(suffix);

	return length >= suffix_length && memcmp(text + length - suffix_length, suffix, suffix_length) == 0;
}

bool name_is_subset(const char *host, const char *of)
{
	if (!name_is_wildcard(of))
		return strcmp(host, of) == 0;
	if (!name_is_wildcard(host))
		return has_suffix(host, of + 1);
	return strlen(host) >= strlen(of) && has_suffix(host + 1, of + 1);
}

int name_canonical(char out[NAME_LENGTH_MAX], const char *host, size_t length)
{
	if (length > 0 && host[length - 1] == '.')
		length--;
	if (length == 0 || length > NAME_LENGTH_MAX)
		return -EINVAL;
	for (size_t i = 0; i < length; i++)
		out[i] = host[i] >= 'A' && host[i] <= 'Z' ? (char)(host[i] - 'A' + 'a') : host[i];
	return (int)length;
}

bool name_is_host(const char *text, size_t length)
{
	bool brackets = length > 2 && text[0] == '[' && text[length - 1] == ']';

	if (brackets) {
		text++;
		length -= 2;
	}
	for (size_t i = 0; i < length; i++) {
		char c = text[i];

		if (brackets ? memchr("0123456789abcdefABCDEF:.", c, 24) == NULL :
			       !is_alphanumeric(c) && c != '-' && c != '_' && c != '.')
			return false;
	}
	return length > 0;
}

size_t name_of_authority(const char *authority, size_t length)
{
	const char *colon;

	if (length > 0 && *authority == '[') {
		const char *bracket = memchr(authority, ']', length);

		return bracket != NULL ? (size_t)(bracket - authority) + 1 : length;
	}
	colon = memchr(authority, ':', length);
	return colon != NULL ? (size_t)(colon - authority) : length;
}
