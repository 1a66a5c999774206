/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An explanation for people and for programs.
 */
#include "redirect/plan/explain.h"

#include "redirect/base/json.h"
#include "redirect/plan/rule_value.h"

#include <string.h>

#define ORIGIN_SIZE 128

static const char *origin(char out[ORIGIN_SIZE], const struct settings *settings, enum setting setting)
{
	return setting_origin(out, ORIGIN_SIZE, &settings->values[setting]);
}

/* What the answer leaves to chance, because it was not said. */
static void write_assumptions(const struct explain_probe *probe, FILE *out)
{
	if (explain_is_inbound(probe))
		return;
	if (!probe->has_uid || !probe->has_gid)
		(void)fprintf(out, "  assumed: a %s that is not the proxy's\n",
			probe->has_uid ? "group" : probe->has_gid ? "user" : "user and a group");
	if (probe->oif[0] == '\0')
		(void)fprintf(out, "  assumed: %s\n", address_is_loopback(&probe->destination.address)
			? "out of the interface lo" : "out of an interface that no rule names");
}

static bool is_captured(const struct explanation *explanation)
{
	return explanation != NULL && (explanation->verdict == RULE_REDIRECT || explanation->verdict == RULE_TPROXY);
}

/* The setting that asked for the decision, be it for no rules at all; SETTING_COUNT: none did. */
static enum setting setting_of(const struct explain_probe *probe, const struct explanation *explanation)
{
	if (explanation != NULL && explanation->rule != NULL)
		return explanation->rule->setting;
	return explanation != NULL && explain_is_inbound(probe) ? SETTING_INCLUDE_INBOUND_PORTS : SETTING_INTERCEPTION_MODE;
}

static void write_rule_text(const struct explanation *explanation, const struct settings *settings, FILE *out)
{
	char value[RULE_VALUE_SIZE];
	char text[ORIGIN_SIZE];

	(void)fprintf(out, "  rule %zu of chain %s: \"%s\"\n", explanation->place, explanation->chain->name,
		explanation->rule->comment);
	if (explanation->element != NULL)
		(void)fprintf(out, "  matched: %s in set %s\n",
			rule_value_format(value, explanation->set->field, explanation->element), explanation->set->name);
	if (explanation->rule->setting != SETTING_COUNT)
		(void)fprintf(out, "  asked for by: %s\n", origin(text, settings, explanation->rule->setting));
	else
		(void)fputs("  asked for by: no setting, it is always so\n", out);
}

void explain_write_text(const struct explain_probe *probe, const struct explanation *explanation,
	const struct settings *settings, FILE *out)
{
	char destination[ADDRESS_TEXT_SIZE];
	char text[ORIGIN_SIZE];

	(void)endpoint_format(destination, &probe->destination);
	if (is_captured(explanation))
		(void)fprintf(out, "%s goes to the proxy, port %u%s\n", destination, explanation->port,
			explanation->verdict == RULE_TPROXY ? ", with the client's address" : "");
	else
		(void)fprintf(out, "%s goes its own way\n", destination);
	if (explanation == NULL || explanation->rule == NULL) {
		(void)fprintf(out, "  there are no rules%s\n  asked for by: %s\n", explanation == NULL ? "" : " for it",
			origin(text, settings, setting_of(probe, explanation)));
		return;
	}
	write_rule_text(explanation, settings, out);
	write_assumptions(probe, out);
}

static void write_member(FILE *out, const char *name, const char *text)
{
	(void)fprintf(out, ",\"%s\":", name);
	if (text != NULL)
		json_write_string(out, text);
	else
		(void)fputs("null", out);
}

static void write_number(FILE *out, const char *name, bool given, uint32_t number)
{
	if (given)
		(void)fprintf(out, ",\"%s\":%u", name, number);
	else
		(void)fprintf(out, ",\"%s\":null", name);
}

/* The rule that decides; every member is null where there is none. */
static void write_rule(const struct explanation *explanation, FILE *out)
{
	const struct explanation *e = explanation != NULL && explanation->rule != NULL ? explanation : NULL;
	char value[RULE_VALUE_SIZE];
	bool found = e != NULL && e->element != NULL;

	write_number(out, "port", is_captured(e), e != NULL ? e->port : 0);
	write_member(out, "chain", e != NULL ? e->chain->name : NULL);
	write_number(out, "rule", e != NULL, e != NULL ? (uint32_t)e->place : 0);
	write_member(out, "comment", e != NULL ? e->rule->comment : NULL);
	write_member(out, "set", found ? e->set->name : NULL);
	write_member(out, "element", found ? rule_value_format(value, e->set->field, e->element) : NULL);
}

void explain_write_json(const struct explain_probe *probe, const struct explanation *explanation,
	const struct settings *settings, FILE *out)
{
	enum setting setting = setting_of(probe, explanation);
	bool asked = setting != SETTING_COUNT;
	char destination[ADDRESS_TEXT_SIZE];
	char text[ORIGIN_SIZE];

	(void)fputs("{\"destination\":", out);
	json_write_string(out, endpoint_format(destination, &probe->destination));
	write_member(out, "protocol", probe->udp ? "udp" : "tcp");
	write_member(out, "direction", explain_is_inbound(probe) ? "inbound" : "outbound");
	write_number(out, "uid", probe->has_uid, probe->uid);
	write_number(out, "gid", probe->has_gid, probe->gid);
	write_member(out, "interface", explain_is_inbound(probe) ? (const char *)probe->iif
				       : probe->oif[0] != '\0'  ? (const char *)probe->oif
								: NULL);
	write_member(out, "decision", !is_captured(explanation)            ? "bypass"
				      : explanation->verdict == RULE_TPROXY ? "tproxy"
									    : "redirect");
	write_rule(explanation, out);
	write_member(out, "setting", asked ? setting_name(setting) : NULL);
	write_member(out, "origin", asked ? origin(text, settings, setting) : NULL);
	(void)fputs("}\n", out);
}
