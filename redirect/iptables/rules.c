/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A rule's matches are walked one by one; where one has several values (a set, or either transport), the walk goes on
 * once for each, and at the end of each way a line is written.
 *
 * What iptables cannot say in one line is said by going on: "return what is neither A nor B" becomes "A and B go on to
 * the next chain", and the rest of the rules stands there.
 *
 * The target TPROXY drops what it finds no transparent socket for. That is right for new connections; connections that
 * are older than the rules have a socket of their own, and are let alone in a chain before it.
 */
#include "redirect/iptables/rules.h"

#include "redirect/iptables/spec.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of what a line does with a packet, with its NUL. */
#define TARGET_SIZE 160

#define TPROXY_CHAIN IPTABLES_PREFIX "TPROXY"

static const char *const table_names[] = {
	[IPTABLES_NAT] = "nat", [IPTABLES_MANGLE] = "mangle", [IPTABLES_RAW] = "raw"};

struct writer {
	struct iptables_rules *rules;
	const struct ruleset *ruleset;
	enum iptables_family family;
	size_t chain;     /* that lines are added to */
	const char *name; /* of the ruleset's chain */
	unsigned part;    /* of it, counted from 1 */
	bool failed;
};

const char *iptables_table_name(enum iptables_table table)
{
	return table_names[table];
}

/* --- chains and lines */

static void begin_chain(struct writer *w, enum iptables_table table, const char *name, const char *hook)
{
	struct iptables_chain *chain = &w->rules->chains[w->rules->chain_count];

	assert(w->rules->chain_count < IPTABLES_CHAIN_MAX);
	*chain = (struct iptables_chain){.table = table, .hook = hook};
	(void)snprintf(chain->name, sizeof chain->name, "%s", name);
	w->chain = w->rules->chain_count++;
}

/* The name of a chain of the ruleset. */
static void put_chain_name(char out[IPTABLES_CHAIN_SIZE], const char *name)
{
	size_t length = strlen(IPTABLES_PREFIX);

	memcpy(out, IPTABLES_PREFIX, length);
	while (*name != '\0' && length + 1 < IPTABLES_CHAIN_SIZE)
		out[length++] = (char)toupper((unsigned char)*name++);
	out[length] = '\0';
}

static void begin_ruleset_chain(struct writer *w, const struct rule_chain *chain)
{
	static const char *const hooks[] = {[RULE_HOOK_OUTPUT] = "OUTPUT", [RULE_HOOK_PREROUTING] = "PREROUTING"};
	enum iptables_table table = chain->type == RULE_CHAIN_NAT || chain->type == RULE_CHAIN_REGULAR ? IPTABLES_NAT
				    : chain->priority == RULESET_PRIORITY_RAW                         ? IPTABLES_RAW
												      : IPTABLES_MANGLE;
	char name[IPTABLES_CHAIN_SIZE];

	put_chain_name(name, chain->name);
	begin_chain(w, table, name, chain->type == RULE_CHAIN_REGULAR ? NULL : hooks[chain->hook]);
	w->name = chain->name;
	w->part = 1;
}

static void add_line(struct writer *w, char *text)
{
	struct iptables_rules *rules = w->rules;

	if (rules->line_count == rules->line_capacity) {
		size_t capacity = rules->line_capacity * 2 + 64;
		struct iptables_line *lines = realloc(rules->lines, capacity * sizeof *lines);

		if (lines == NULL) {
			w->failed = true;
			free(text);
			return;
		}
		rules->lines = lines;
		rules->line_capacity = capacity;
	}
	rules->lines[rules->line_count++] = (struct iptables_line){w->chain, text};
}

/* Writes one line with a target, "-j X ..." or "-g X", or none. */
static void emit(struct writer *w, const struct iptables_spec *spec, const char *comment, const char *target)
{
	char *text = iptables_spec_write(spec, w->rules->chains[w->chain].name, comment, target);

	if (text == NULL)
		w->failed = true;
	else
		add_line(w, text);
}

/* --- matches */

typedef void next_step(struct writer *w, const struct rule *rule, size_t match, const struct iptables_spec *spec);

static next_step walk;

/* The longest CIDR that begins at `first` and does not go beyond `last`: its last key is put into `end`. */
static unsigned longest_cidr(const uint8_t *first, const uint8_t *last, size_t size, uint8_t *end)
{
	unsigned prefix = (unsigned)size * 8;

	memcpy(end, first, size);
	while (prefix > 0) {
		uint8_t bit = (uint8_t)(0x80 >> ((prefix - 1) % 8));
		uint8_t longer[INTERVAL_KEY_MAX];

		memcpy(longer, end, size);
		longer[(prefix - 1) / 8] |= bit;
		if ((first[(prefix - 1) / 8] & bit) != 0 || memcmp(longer, last, size) > 0)
			break;
		memcpy(end, longer, size);
		prefix--;
	}
	return prefix;
}

/* Goes on once for each of the CIDRs that an interval is made of. */
static void each_cidr(struct writer *w, const struct rule *rule, size_t match, const struct iptables_spec *spec,
	const struct interval *interval)
{
	enum rule_field field = rule->matches[match].field;
	size_t size = rule_field_size(field);
	uint8_t first[INTERVAL_KEY_MAX];
	bool more = true;

	memcpy(first, interval->first, sizeof first);
	while (more) {
		struct iptables_spec next = *spec;
		uint8_t end[INTERVAL_KEY_MAX] = {0};
		unsigned prefix = longest_cidr(first, interval->last, size, end);

		iptables_spec_add_cidr(&next, field, first, prefix);
		walk(w, rule, match + 1, &next);
		memcpy(first, end, size);
		more = memcmp(end, interval->last, size) < 0 && interval_key_next(first, size);
	}
}

/* One value of a match. */
static void with_value(struct writer *w, const struct rule *rule, size_t match, const struct iptables_spec *spec,
	const struct interval *value, bool negated)
{
	enum rule_field field = rule->matches[match].field;
	struct iptables_spec next = *spec;

	switch (field) {
	case RULE_FIELD_TH_DPORT:
		iptables_spec_add(&next, RULE_FIELD_TCP_DPORT, value, negated);
		walk(w, rule, match + 1, &next);
		next = *spec;
		iptables_spec_add(&next, RULE_FIELD_UDP_DPORT, value, negated);
		walk(w, rule, match + 1, &next);
		break;
	case RULE_FIELD_IPV4_SADDR:
	case RULE_FIELD_IPV6_SADDR:
	case RULE_FIELD_IPV4_DADDR:
	case RULE_FIELD_IPV6_DADDR:
		each_cidr(w, rule, match, spec, value);
		break;
	default:
		iptables_spec_add(&next, field, value, negated);
		walk(w, rule, match + 1, &next);
	}
}

/* Of ports that must not be, two go into one match. */
static bool take_two_ports(struct writer *w, const struct rule *rule, size_t match, const struct iptables_spec *spec)
{
	const struct rule_match *one = &rule->matches[match];
	const struct rule_match *two = one + 1;
	struct iptables_spec next = *spec;

	if (match + 1 >= rule->match_count || one->field != RULE_FIELD_TCP_DPORT || one->op != RULE_IS_NOT ||
		two->field != RULE_FIELD_TCP_DPORT || two->op != RULE_IS_NOT)
		return false;
	iptables_spec_add_two_ports(&next, &one->value, &two->value);
	walk(w, rule, match + 2, &next);
	return true;
}

static bool is_of_other_family(const struct writer *w, enum rule_field field)
{
	bool of4 = field == RULE_FIELD_IPV4_SADDR || field == RULE_FIELD_IPV4_DADDR;
	bool of6 = field == RULE_FIELD_IPV6_SADDR || field == RULE_FIELD_IPV6_DADDR;

	return w->family == IPTABLES_IPV4 ? of6 : of4;
}

static void put_target(const struct rule *rule, char target[TARGET_SIZE])
{
	char chain[IPTABLES_CHAIN_SIZE];

	switch (rule->verdict) {
	case RULE_CONTINUE:
		target[0] = '\0';
		break;
	case RULE_RETURN:
		(void)snprintf(target, TARGET_SIZE, "-j RETURN");
		break;
	case RULE_REDIRECT:
		(void)snprintf(target, TARGET_SIZE, "-j REDIRECT --to-ports %u", rule->port);
		break;
	case RULE_TPROXY:
		(void)snprintf(target, TARGET_SIZE, "-g " TPROXY_CHAIN);
		break;
	case RULE_DROP:
		(void)snprintf(target, TARGET_SIZE, "-j DROP");
		break;
	case RULE_GOTO:
		put_chain_name(chain, rule->target);
		(void)snprintf(target, TARGET_SIZE, "-g %s", chain);
		break;
	case RULE_SET_MARK:
		(void)snprintf(target, TARGET_SIZE, "-j MARK --set-xmark 0x%x/0xffffffff", rule->number);
		break;
	case RULE_SET_CT_MARK:
		(void)snprintf(target, TARGET_SIZE, "-j CONNMARK --set-xmark 0x%x/0xffffffff", rule->number);
		break;
	/* The first zone that a packet is put into stays. */
	case RULE_SET_ZONE:
		(void)snprintf(target, TARGET_SIZE, "-j CT --zone %u", rule->number);
		break;
	}
}

static void walk(struct writer *w, const struct rule *rule, size_t match, const struct iptables_spec *spec)
{
	const struct rule_match *m = &rule->matches[match];
	const struct rule_set *set;
	char target[TARGET_SIZE];

	if (match == rule->match_count) {
		put_target(rule, target);
		emit(w, spec, rule->comment, target);
		return;
	}
	if (is_of_other_family(w, m->field) || take_two_ports(w, rule, match, spec))
		return;
	if (m->op != RULE_IN_SET) {
		with_value(w, rule, match, spec, &m->value, m->op == RULE_IS_NOT);
		return;
	}
	set = ruleset_find_set(w->ruleset, m->set);
	for (size_t i = 0; i < set->elements->count; i++)
		with_value(w, rule, match, spec, &set->elements->items[i], false);
}

/* --- rules that are said by going on */

static bool goes_on(const struct rule *rule)
{
	if (rule->verdict != RULE_RETURN || rule->match_count == 0)
		return false;
	for (size_t i = 0; i < rule->match_count; i++)
		if (rule->matches[i].op != RULE_NOT_IN_SET &&
			!(rule->match_count > 1 && rule->matches[i].op == RULE_IS_NOT &&
				rule->matches[i].field == RULE_FIELD_L4PROTO))
			return false;
	return true;
}

/* What is none of the matches returns at the chain's end. */
static void write_going_on(struct writer *w, const struct rule *rule)
{
	enum iptables_table table = w->rules->chains[w->chain].table;
	char rest[IPTABLES_CHAIN_SIZE];
	char name[IPTABLES_CHAIN_SIZE];
	struct rule part = *rule;

	(void)snprintf(rest, sizeof rest, "%s_%u", w->name, ++w->part);
	part.verdict = RULE_GOTO;
	part.target = rest;
	part.match_count = 1;
	for (size_t i = 0; i < rule->match_count; i++) {
		part.matches[0] = rule->matches[i];
		part.matches[0].op = rule->matches[i].op == RULE_IS_NOT ? RULE_IS : RULE_IN_SET;
		walk(w, &part, 0, &(struct iptables_spec){.protocol = NULL});
	}
	put_chain_name(name, rest);
	begin_chain(w, table, name, NULL);
}

/* What becomes of a packet that is to go to the proxy; see above. */
static void write_tproxy_chain(struct writer *w, const struct rule *rule)
{
	static const char older[] = "of connections that are older than the rules";
	const struct iptables_spec transparent = {
		.protocol = "tcp", .matches = " -m tcp ! --tcp-flags SYN SYN -m socket --transparent"};
	const struct iptables_spec known = {.protocol = "tcp", .matches = " -m tcp ! --tcp-flags SYN SYN -m socket"};
	size_t chain = w->chain;
	char target[TARGET_SIZE];

	(void)snprintf(target, sizeof target, "-j TPROXY --on-port %u --on-ip %s --tproxy-mark 0x%x/0xffffffff",
		rule->port, w->family == IPTABLES_IPV4 ? "0.0.0.0" : "::", rule->number);
	begin_chain(w, IPTABLES_MANGLE, TPROXY_CHAIN, NULL);
	emit(w, &transparent, rule->comment, target);
	emit(w, &known, older, "-j RETURN");
	emit(w, &(struct iptables_spec){.protocol = "tcp"}, rule->comment, target);
	w->chain = chain;
}

static void write_chain(struct writer *w, const struct rule_chain *chain)
{
	begin_ruleset_chain(w, chain);
	for (size_t i = 0; i < chain->rule_count && !w->failed; i++) {
		const struct rule *rule = &chain->rules[i];

		if (goes_on(rule))
			write_going_on(w, rule);
		else
			walk(w, rule, 0, &(struct iptables_spec){.protocol = NULL});
		if (rule->verdict == RULE_TPROXY)
			write_tproxy_chain(w, rule);
	}
}

int iptables_rules_build(const struct ruleset *want, enum iptables_family family, struct iptables_rules *ret_rules)
{
	struct writer w = {.rules = ret_rules, .ruleset = want, .family = family};

	*ret_rules = (struct iptables_rules){.chain_count = 0};
	for (size_t i = 0; want != NULL && i < want->chain_count; i++)
		write_chain(&w, &want->chains[i]);
	return w.failed ? -ENOMEM : 0;
}

void iptables_rules_free(struct iptables_rules *rules)
{
	for (size_t i = 0; i < rules->line_count; i++)
		free(rules->lines[i].text);
	free(rules->lines);
	*rules = (struct iptables_rules){.chain_count = 0};
}

/* --- text */

void iptables_write_hook(const struct iptables_chain *chain, const char *command, FILE *out)
{
	(void)fprintf(out, "%s %s", command, chain->hook);
	iptables_write_comment("weir: before everybody else", out);
	(void)fprintf(out, " -j %s", chain->name);
}

void iptables_rules_write(const struct iptables_rules *rules, FILE *out)
{
	for (enum iptables_table table = 0; table < IPTABLES_TABLE_COUNT; table++) {
		bool any = false;

		for (size_t i = 0; i < rules->chain_count; i++) {
			if (rules->chains[i].table != table)
				continue;
			(void)fprintf(out, any ? "" : "*%s\n", iptables_table_name(table));
			(void)fprintf(out, ":%s - [0:0]\n", rules->chains[i].name);
			any = true;
		}
		for (size_t i = 0; i < rules->chain_count; i++) {
			if (rules->chains[i].table != table || rules->chains[i].hook == NULL)
				continue;
			iptables_write_hook(&rules->chains[i], "-I", out);
			(void)fputc('\n', out);
		}
		for (size_t i = 0; i < rules->line_count; i++)
			if (rules->chains[rules->lines[i].chain].table == table)
				(void)fprintf(out, "%s\n", rules->lines[i].text);
		(void)fputs(any ? "COMMIT\n" : "", out);
	}
}
