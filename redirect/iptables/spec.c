/* SPDX-License-Identifier: Apache-2.0 */
#include "redirect/iptables/spec.h"

#include "redirect/plan/rule_value.h"

#include <assert.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* --- parts */

static void add_text(char *out, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

static void add_text(char *out, size_t size, const char *format, ...)
{
	size_t length = strlen(out);
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(out + length, size - length, format, arguments);
	va_end(arguments);
}

static uint32_t number_of(const uint8_t *key, size_t size)
{
	uint32_t number = 0;

	for (size_t i = 0; i < size; i++)
		number = number << 8 | key[i];
	return number;
}

/* A name, or the beginning of names; one that fills the kernel's field is a name either way. */
static void add_interface(char *out, char option, const struct interval *names)
{
	bool pattern = memcmp(names->first, names->last, INTERVAL_KEY_MAX) != 0 &&
		names->first[INTERVAL_KEY_MAX - 2] == '\0';

	add_text(out, IPTABLES_PART_SIZE, " -%c %.15s%s", option, (const char *)names->first, pattern ? "+" : "");
}

static void add_range(char *out, size_t size, const char *option, char separator, const struct interval *range,
	size_t key_size)
{
	uint32_t first = number_of(range->first, key_size);
	uint32_t last = number_of(range->last, key_size);

	if (first == last)
		add_text(out, size, " %s %u", option, first);
	else
		add_text(out, size, " %s %u%c%u", option, first, separator, last);
}

static void add_ports(struct iptables_spec *spec, const char *protocol, const char *option, const struct interval *ports)
{
	spec->protocol = protocol;
	add_range(spec->transport, sizeof spec->transport, option, ':', ports, 2);
}

void iptables_spec_add(struct iptables_spec *spec, enum rule_field field, const struct interval *value, bool negated)
{
	char *matches = spec->matches;
	size_t size = sizeof spec->matches;

	switch (field) {
	case RULE_FIELD_L4PROTO:
		spec->protocol = value->first[0] == IPPROTO_TCP ? "tcp" : "udp";
		spec->not_protocol = negated;
		break;
	case RULE_FIELD_OIFNAME:
		add_interface(spec->out, 'o', value);
		break;
	case RULE_FIELD_IIFNAME:
		add_interface(spec->in, 'i', value);
		break;
	case RULE_FIELD_SKUID:
		add_range(matches, size, "-m owner --uid-owner", '-', value, 4);
		break;
	case RULE_FIELD_SKGID:
		add_range(matches, size, "-m owner --gid-owner", '-', value, 4);
		break;
	case RULE_FIELD_MARK:
		add_text(matches, size, " -m mark --mark 0x%x", number_of(value->first, 4));
		break;
	case RULE_FIELD_TCP_DPORT:
		add_ports(spec, "tcp", negated ? "! --dport" : "--dport", value);
		break;
	case RULE_FIELD_TCP_FLAGS:
		spec->protocol = "tcp";
		add_text(spec->transport, sizeof spec->transport, " --tcp-flags SYN SYN");
		break;
	case RULE_FIELD_UDP_DPORT:
		add_ports(spec, "udp", negated ? "! --dport" : "--dport", value);
		break;
	case RULE_FIELD_UDP_SPORT:
		add_ports(spec, "udp", "--sport", value);
		break;
	case RULE_FIELD_CT_MARK:
		add_text(matches, size, " -m connmark --mark 0x%x", number_of(value->first, 4));
		break;
	case RULE_FIELD_CT_DIRECTION:
		add_text(matches, size, " -m conntrack --ctdir REPLY");
		break;
	case RULE_FIELD_CT_STATE:
		add_text(matches, size, " -m conntrack --ctstate INVALID");
		break;
	/* What takes more than one line is no single value of a line. */
	case RULE_FIELD_TH_DPORT:
	case RULE_FIELD_IPV4_SADDR:
	case RULE_FIELD_IPV4_DADDR:
	case RULE_FIELD_IPV6_SADDR:
	case RULE_FIELD_IPV6_DADDR:
	case RULE_FIELD_COUNT:
		assert(false);
	}
}

void iptables_spec_add_cidr(struct iptables_spec *spec, enum rule_field field, const uint8_t *address, unsigned prefix)
{
	bool source = field == RULE_FIELD_IPV4_SADDR || field == RULE_FIELD_IPV6_SADDR;
	struct interval one = {0};
	char text[RULE_VALUE_SIZE];

	memcpy(one.first, address, rule_field_size(field));
	memcpy(one.last, address, rule_field_size(field));
	(void)rule_value_format(text, field, &one);
	/* iptables prints a range of everything as no range at all. */
	if (prefix > 0)
		add_text(source ? spec->source : spec->destination, IPTABLES_PART_SIZE, " -%c %s/%u", source ? 's' : 'd',
			text, prefix);
}

void iptables_spec_add_two_ports(struct iptables_spec *spec, const struct interval *one, const struct interval *two)
{
	spec->protocol = "tcp";
	add_text(spec->matches, sizeof spec->matches, " -m multiport ! --dports %u,%u", number_of(one->first, 2),
		number_of(two->first, 2));
}

/* --- the line */

void iptables_write_comment(const char *comment, FILE *out)
{
	(void)fputs(" -m comment --comment \"", out);
	for (; *comment != '\0'; comment++) {
		if (*comment == '\'')
			(void)fputc('\\', out);
		(void)fputc(*comment, out);
	}
	(void)fputc('"', out);
}

static void write_matches(const struct iptables_spec *spec, FILE *out)
{
	(void)fprintf(out, "%s%s%s%s", spec->source, spec->destination, spec->in, spec->out);
	if (spec->protocol != NULL)
		(void)fprintf(out, "%s -p %s", spec->not_protocol ? " !" : "", spec->protocol);
	(void)fputs(spec->matches, out);
	if (spec->transport[0] != '\0')
		(void)fprintf(out, " -m %s%s", spec->protocol, spec->transport);
}

char *iptables_spec_write(const struct iptables_spec *spec, const char *chain, const char *comment, const char *target)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		return NULL;
	(void)fprintf(out, "-A %s", chain);
	write_matches(spec, out);
	iptables_write_comment(comment, out);
	(void)fprintf(out, "%s%s", target[0] != '\0' ? " " : "", target);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}
