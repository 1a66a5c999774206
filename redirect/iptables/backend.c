/* SPDX-License-Identifier: Apache-2.0 */
#include "redirect/iptables/backend.h"

#include "redirect/iptables/rules.h"
#include "redirect/iptables/state.h"
#include "redirect/iptables/tool.h"
#include "redirect/kernel/route.h"
#include "redirect/nft/state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Bytes of a program's name with its NUL. */
#define PROGRAM_SIZE 32

/* The order of preference where nobody has rules: the system's own choice first. */
enum flavour { FLAVOUR_SYSTEM, FLAVOUR_NFT, FLAVOUR_LEGACY, FLAVOUR_COUNT };
static const char *const flavour_names[] = {
	[FLAVOUR_SYSTEM] = "", [FLAVOUR_NFT] = "nft", [FLAVOUR_LEGACY] = "legacy"};

static const char *const family_tools[] = {[IPTABLES_IPV4] = "iptables", [IPTABLES_IPV6] = "ip6tables"};

/* What each flavour holds. One that is not there, or that its kernel does not support, is not usable. */
struct view {
	struct iptables_state states[FLAVOUR_COUNT][IPTABLES_FAMILY_COUNT];
	bool usable[FLAVOUR_COUNT];
	struct error why; /* the last one that is not */
	int why_code;
	bool ipv6; /* the kernel has it */
};

static void program_name(char out[PROGRAM_SIZE], enum flavour flavour, enum iptables_family family, const char *verb)
{
	const char *name = flavour_names[flavour];

	(void)snprintf(out, PROGRAM_SIZE, "%s%s%s-%s", family_tools[family], *name != '\0' ? "-" : "", name, verb);
}

static bool has_ipv6(void)
{
	return access("/proc/net/if_inet6", F_OK) == 0 || access("/proc/net", F_OK) != 0;
}

static bool has_family(const struct view *view, enum iptables_family family)
{
	return family == IPTABLES_IPV4 || view->ipv6;
}

static int look_at(struct view *view, enum flavour flavour, struct error *e)
{
	for (enum iptables_family family = 0; family < IPTABLES_FAMILY_COUNT && has_family(view, family); family++) {
		char program[PROGRAM_SIZE];
		const char *const argv[] = {program, NULL};
		char *text = NULL;
		int rc;

		program_name(program, flavour, family, "save");
		rc = tool_run(argv, NULL, 0, &text, e);
		if (rc < 0)
			return rc;
		rc = iptables_state_parse(text, &view->states[flavour][family]);
		if (rc < 0)
			return error_set(e, ENOMEM, "no memory for what %s printed", program);
	}
	view->usable[flavour] = true;
	return 0;
}

/* The system's flavour is one of the others under another name; it is asked only where those are not there. */
static int look(struct view *view, struct error *e)
{
	*view = (struct view){.ipv6 = has_ipv6()};
	for (int f = FLAVOUR_COUNT - 1; f >= 0; f--) {
		bool named = view->usable[FLAVOUR_NFT] || view->usable[FLAVOUR_LEGACY];
		int rc = f == FLAVOUR_SYSTEM && named ? 0 : look_at(view, (enum flavour)f, &view->why);

		if (rc == -ENOMEM) {
			*e = view->why;
			return rc;
		}
		if (rc < 0)
			view->why_code = rc;
	}
	return 0;
}

static void view_free(struct view *view)
{
	for (enum flavour f = 0; f < FLAVOUR_COUNT; f++)
		for (enum iptables_family family = 0; family < IPTABLES_FAMILY_COUNT; family++)
			iptables_state_free(&view->states[f][family]);
}

static bool holds_ours(const struct view *view, enum flavour flavour)
{
	return iptables_state_is_ours(&view->states[flavour][IPTABLES_IPV4]) ||
	       iptables_state_is_ours(&view->states[flavour][IPTABLES_IPV6]);
}

static bool holds_any(const struct view *view, enum flavour flavour)
{
	return view->states[flavour][IPTABLES_IPV4].any_rules || view->states[flavour][IPTABLES_IPV6].any_rules;
}

/* Where nobody has rules, the system's iptables says by its version which flavour it is. */
static enum flavour system_flavour(const struct view *view)
{
	const char *const argv[] = {"iptables", "--version", NULL};
	enum flavour flavour = view->usable[FLAVOUR_NFT] ? FLAVOUR_NFT : FLAVOUR_LEGACY;
	char *text = NULL;

	if (tool_run(argv, NULL, 0, &text, NULL) == 0 && view->usable[FLAVOUR_LEGACY] &&
		strstr(text, "nf_tables") == NULL)
		flavour = FLAVOUR_LEGACY;
	free(text);
	return flavour;
}

static int choose(const struct view *view, const char *forced, enum flavour *ret_flavour, struct error *e)
{
	static const enum flavour order[] = {FLAVOUR_NFT, FLAVOUR_LEGACY, FLAVOUR_SYSTEM};
	bool any = false;

	for (size_t i = 0; i < FLAVOUR_COUNT; i++)
		any |= view->usable[i];
	if (!any) {
		*e = view->why;
		return view->why_code;
	}
	if (forced != NULL) {
		*ret_flavour = strcmp(forced, "legacy") == 0 ? FLAVOUR_LEGACY : FLAVOUR_NFT;
		if (!view->usable[*ret_flavour])
			return error_set(e, ENOENT, "iptables of the flavour %s cannot be used here", forced);
		return 0;
	}
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < FLAVOUR_COUNT; i++) {
			*ret_flavour = order[i];
			if (round == 0 ? holds_ours(view, order[i]) : holds_any(view, order[i]))
				return 0;
		}
	}
	*ret_flavour = view->usable[FLAVOUR_SYSTEM] ? FLAVOUR_SYSTEM : system_flavour(view);
	return 0;
}

/* --- the change */

struct change {
	struct iptables_rules rules;
	struct nft_differences differences; /* counted only */
	char *text;                         /* owned; NULL: nothing to do */
	size_t size;
};

static int build_change(const struct ruleset *want, const struct iptables_state *state, enum iptables_family family,
	bool force, struct change *change)
{
	FILE *out;
	int rc = iptables_rules_build(want, family, &change->rules);

	if (rc == 0)
		rc = iptables_state_compare(&change->rules, state, "", &change->differences);
	if (rc < 0 || (change->differences.count == 0 && !(force && want != NULL)))
		return rc;
	out = open_memstream(&change->text, &change->size);
	if (out == NULL)
		return -ENOMEM;
	iptables_state_write_change(&change->rules, state, out);
	return fclose(out) == 0 && change->text != NULL ? 0 : -ENOMEM;
}

static int restore(enum flavour flavour, enum iptables_family family, const struct change *change, bool test,
	struct error *e)
{
	char program[PROGRAM_SIZE];
	const char *const argv[] = {program, "--noflush", "--wait", TOOL_LOCK_SECONDS, test ? "--test" : NULL, NULL};

	if (change->text == NULL)
		return 0;
	program_name(program, flavour, family, "restore");
	return tool_run(argv, change->text, change->size, NULL, e);
}

/* Makes one flavour what is wanted, both families or, where that can be known before, neither. */
static int apply_flavour(const struct view *view, enum flavour flavour, const struct ruleset *want, bool force,
	bool *ret_changed, struct error *e)
{
	struct change changes[IPTABLES_FAMILY_COUNT] = {0};
	int rc = 0;

	for (enum iptables_family f = 0; rc == 0 && f < IPTABLES_FAMILY_COUNT && has_family(view, f); f++)
		rc = build_change(want, &view->states[flavour][f], f, force, &changes[f]);
	if (rc < 0)
		(void)error_set(e, ENOMEM, "no memory for the rules");
	for (int test = 1; test >= 0; test--)
		for (enum iptables_family f = 0; rc == 0 && f < IPTABLES_FAMILY_COUNT && has_family(view, f); f++)
			rc = restore(flavour, f, &changes[f], test == 1, e);
	for (enum iptables_family f = 0; f < IPTABLES_FAMILY_COUNT; f++) {
		*ret_changed |= changes[f].text != NULL;
		iptables_rules_free(&changes[f].rules);
		free(changes[f].text);
	}
	return rc;
}

/* In the flavour that is chosen, and none in the others. */
static int apply_rules(const struct ruleset *want, const char *forced, bool force, enum nft_outcome *ret_outcome,
	struct error *e)
{
	enum flavour chosen = FLAVOUR_COUNT;
	struct view view;
	bool changed = false;
	bool had = false;
	int rc = look(&view, e);

	if (rc == 0 && want != NULL)
		rc = choose(&view, forced, &chosen, e);
	if (rc == 0 && chosen != FLAVOUR_COUNT) {
		had = holds_ours(&view, chosen);
		rc = apply_flavour(&view, chosen, want, force, &changed, e);
	}
	for (enum flavour f = 0; rc == 0 && f < FLAVOUR_COUNT; f++) {
		if (f == chosen || !view.usable[f] || !holds_ours(&view, f))
			continue;
		had = true;
		rc = apply_flavour(&view, f, NULL, false, &changed, e);
	}
	*ret_outcome = !changed ? NFT_UNCHANGED : want == NULL ? NFT_REMOVED : had ? NFT_REPLACED : NFT_CREATED;
	view_free(&view);
	return rc;
}

/* nf_tables may hold the same rules, of an earlier run: they must not both be in force. */
static int remove_table(bool *ret_changed, struct error *e)
{
	enum nft_outcome outcome = NFT_UNCHANGED;
	int rc = nft_table_apply(NULL, false, &outcome, e);

	*ret_changed |= rc == 0 && outcome == NFT_REMOVED;
	return rc == -EPROTONOSUPPORT ? 0 : rc;
}

int iptables_apply(const struct ruleset *want, const char *flavour, bool force, enum nft_outcome *ret_outcome,
	struct error *e)
{
	struct route_change change;
	bool table_gone = false;
	bool changed = false;
	int rc = route_begin(want != NULL ? &want->routing : NULL, &change, e);

	if (rc < 0)
		return rc;
	rc = apply_rules(want, flavour, force, ret_outcome, e);
	if (rc < 0) {
		route_abort(&change);
		return rc;
	}
	rc = remove_table(&table_gone, e);
	if (rc == 0)
		rc = route_finish(&change, &changed, e);
	else
		route_abort(&change);
	if (rc == 0 && (table_gone || (changed && *ret_outcome == NFT_UNCHANGED)))
		*ret_outcome = want != NULL ? NFT_REPLACED : NFT_REMOVED;
	return rc;
}

int iptables_remove(bool *ret_changed, struct error *e)
{
	enum nft_outcome outcome = NFT_UNCHANGED;
	int rc = apply_rules(NULL, NULL, false, &outcome, e);

	*ret_changed |= outcome == NFT_REMOVED;
	return rc;
}

static int check_flavour(const struct view *view, enum flavour flavour, const struct ruleset *want,
	struct nft_differences *differences)
{
	int rc = 0;

	for (enum iptables_family f = 0; rc == 0 && f < IPTABLES_FAMILY_COUNT && has_family(view, f); f++) {
		struct iptables_rules rules;

		rc = iptables_rules_build(want, f, &rules);
		if (rc == 0)
			rc = iptables_state_compare(&rules, &view->states[flavour][f], family_tools[f], differences);
		iptables_rules_free(&rules);
	}
	return rc;
}

int iptables_check(const struct ruleset *want, const char *flavour, struct nft_differences *differences,
	struct error *e)
{
	enum flavour chosen = FLAVOUR_COUNT;
	struct view view;
	int rc = look(&view, e);

	if (rc == 0 && want != NULL)
		rc = choose(&view, flavour, &chosen, e);
	for (enum flavour f = 0; rc == 0 && f < FLAVOUR_COUNT; f++) {
		if (!view.usable[f] || (f != chosen && !holds_ours(&view, f)))
			continue;
		rc = check_flavour(&view, f, f == chosen ? want : NULL, differences);
		if (rc < 0)
			(void)error_set(e, ENOMEM, "no memory to compare the rules");
	}
	view_free(&view);
	return rc == 0 ? route_check(want != NULL ? &want->routing : NULL, differences, e) : rc;
}

int iptables_write(const struct ruleset *want, FILE *out)
{
	int rc = 0;

	for (enum iptables_family f = 0; rc == 0 && f < IPTABLES_FAMILY_COUNT; f++) {
		struct iptables_rules rules;

		rc = iptables_rules_build(want, f, &rules);
		(void)fprintf(out, "# %s-restore --noflush\n", family_tools[f]);
		if (rc == 0)
			iptables_rules_write(&rules, out);
		iptables_rules_free(&rules);
	}
	return rc;
}

/* --- traces */

/* The legacy flavour's tables, one a line. */
static bool has_legacy_tables(const char *path)
{
	FILE *file = fopen(path, "re");
	int first = file != NULL ? fgetc(file) : EOF;

	if (file != NULL)
		(void)fclose(file);
	return first != EOF;
}

bool iptables_is_suspected(void)
{
	struct nft_socket socket;
	bool found = false;
	int rc;

	if (has_legacy_tables("/proc/net/ip_tables_names") || has_legacy_tables("/proc/net/ip6_tables_names"))
		return true;
	if (nft_socket_open(&socket, NULL) < 0)
		return false;
	rc = nft_state_find_foreign_chain(&socket, "nat", IPTABLES_PREFIX "OUTBOUND", &found);
	nft_socket_close(&socket);
	/* Who cannot know had better look. */
	return found || rc < 0;
}
