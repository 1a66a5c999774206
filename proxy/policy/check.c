/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/policy/check.h"

#include "proxy/policy/name.h"
#include "proxy/policy/time_span.h"

#include <string.h>
#include <strings.h>

void check_port(struct reader *r, const char *field, int32_t number)
{
	if (number < 1 || number > 65535)
		reader_error(r, field, "port number %d must be in the range 1..65535", number);
}

void check_duration(struct reader *r, const char *field, const struct duration *duration)
{
	if (!duration->is_set)
		return;
	if (duration->nanoseconds < TIME_SPAN_MILLISECOND)
		reader_error(r, field, "duration must be greater than 1ms");
	else if (duration->nanoseconds % TIME_SPAN_MILLISECOND != 0)
		reader_error(r, field, "only durations to ms precision are supported");
}

static bool contains(const struct texts *texts, const char *text, size_t before)
{
	for (size_t i = 0; i < before; i++)
		if (strcmp(texts->items[i], text) == 0)
			return true;
	return false;
}

void check_export_to(struct reader *r, const struct texts *export_to, bool none)
{
	bool everybody = contains(export_to, "*", export_to->count);
	bool nobody = contains(export_to, "~", export_to->count);

	for (size_t i = 0; i < export_to->count; i++) {
		const char *item = export_to->items[i];

		if (contains(export_to, item, i))
			reader_error(r, "exportTo", "duplicate entries in exportTo for entry %s", item);
		else if (strcmp(item, ".") != 0 && strcmp(item, "*") != 0 && !(none && strcmp(item, "~") == 0) &&
			 !name_is_label(item))
			reader_error(r, "exportTo", "invalid value for exportTo: \"%s\"", item);
	}
	if (contains(export_to, ".", export_to->count) && contains(export_to, r->namespace_, export_to->count))
		reader_error(r, "exportTo", "duplicate entries in exportTo: . and current namespace %s", r->namespace_);
	if (none && nobody && export_to->count > 1)
		reader_error(r, "exportTo", "cannot export service entry to no one (~) and someone");
	else if (everybody && export_to->count > 1)
		reader_error(r, "exportTo", "cannot have both public (*) and non-public exportTo values for a resource");
}

struct subnet *check_subnets(struct reader *r, const char *field, const struct texts *addresses)
{
	struct subnet *subnets;

	if (addresses->count == 0)
		return NULL;
	subnets = reader_alloc(r, addresses->count, sizeof *subnets);
	if (subnets == NULL)
		return NULL;
	reader_enter(r, field);
	for (size_t i = 0; i < addresses->count; i++) {
		struct error e;

		reader_enter_index(r, i);
		if (subnet_parse(addresses->items[i], &subnets[i], &e) < 0)
			reader_error(r, "", "%s", e.text);
		reader_leave(r);
	}
	reader_leave(r);
	return subnets;
}

const char *check_host(struct reader *r, const char *field, const char *host, bool wildcard)
{
	char small[NAME_LENGTH_MAX + 1];
	struct error e;
	int length;

	if ((wildcard ? name_check_wildcard(host, &e) : name_check_full(host, &e)) < 0) {
		reader_error(r, field, "%s", e.text);
		return NULL;
	}
	length = name_canonical(small, host, strlen(host));
	/* Most names are written as they are compared, and are in the arena already. */
	if (length < 0 || (strlen(host) == (size_t)length && memcmp(small, host, (size_t)length) == 0))
		return host;
	small[length] = '\0';
	return reader_copy(r, small);
}

void check_hosts(struct reader *r, const char *field, struct texts *hosts)
{
	reader_enter(r, field);
	for (size_t i = 0; i < hosts->count; i++) {
		const char *host = hosts->items[i];

		reader_enter_index(r, i);
		if (strcmp(host, "*") == 0)
			reader_error(r, "", "invalid host %s", host);
		else
			host = check_host(r, "", host, true);
		if (host != NULL && name_is_wildcard(host) && host[1] != '\0' && host[1] != '.')
			reader_warn(r, "", "partial wildcard \"%s\" not allowed", host);
		if (host != NULL)
			hosts->items[i] = host;
		reader_leave(r);
	}
	reader_leave(r);
}

bool check_is_authority(const char *name)
{
	return strcasecmp(name, ":authority") == 0 || strcasecmp(name, "host") == 0;
}

void check_header_name(struct reader *r, const char *field, const char *name, bool authority)
{
	static const char token[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~";

	if (authority && check_is_authority(name))
		return;
	if (*name == '\0')
		reader_error(r, field, "header name cannot be empty");
	else if (*name == ':' || strcasecmp(name, "host") == 0)
		reader_error(r, field, "invalid header \"%s\": header cannot have \":\" prefix or be \"host\"", name);
	else if (name[strspn(name, token)] != '\0')
		reader_error(r, field, "header name %s is not a valid header name", name);
}

bool check_labels_match(const struct pairs *wanted, const struct pairs *labels)
{
	for (size_t i = 0; i < wanted->count; i++) {
		bool found = false;

		for (size_t j = 0; j < labels->count && !found; j++)
			found = strcmp(wanted->items[i].name, labels->items[j].name) == 0 &&
				strcmp(wanted->items[i].value, labels->items[j].value) == 0;
		if (!found)
			return false;
	}
	return true;
}
