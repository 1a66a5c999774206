/* SPDX-License-Identifier: Apache-2.0 */
#include "redirect/iptables/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int add(struct iptables_present_list *list, enum iptables_table table, const char *text)
{
	if (list->count == list->capacity) {
		size_t capacity = list->capacity * 2 + 32;
		struct iptables_present *items = realloc(list->items, capacity * sizeof *items);

		if (items == NULL)
			return -ENOMEM;
		list->items = items;
		list->capacity = capacity;
	}
	list->items[list->count++] = (struct iptables_present){table, text};
	return 0;
}

static bool begins_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Whether a line jumps to a chain of weir's. */
static bool is_hook(const char *line)
{
	const char *jump = strstr(line, " -j " IPTABLES_PREFIX);

	return jump != NULL && strchr(jump + 4, ' ') == NULL;
}

static int take_line(struct iptables_state *state, int table, char *line)
{
	if (begins_with(line, "-A "))
		state->any_rules = true;
	if (table < 0)
		return 0;
	if (begins_with(line, ":" IPTABLES_PREFIX)) {
		line[strcspn(line, " ")] = '\0';
		return add(&state->chains, (enum iptables_table)table, line + 1);
	}
	if (begins_with(line, "-A " IPTABLES_PREFIX))
		return add(&state->lines, (enum iptables_table)table, line);
	return begins_with(line, "-A ") && is_hook(line) ? add(&state->hooks, (enum iptables_table)table, line) : 0;
}

/* Of a line "*nat", the table; -1 for one that weir has no chains in. */
static int table_of(const char *line)
{
	for (enum iptables_table table = 0; table < IPTABLES_TABLE_COUNT; table++)
		if (strcmp(line + 1, iptables_table_name(table)) == 0)
			return (int)table;
	return -1;
}

int iptables_state_parse(char *text, struct iptables_state *ret_state)
{
	char *rest = NULL;
	int table = -1;
	int rc = 0;

	*ret_state = (struct iptables_state){.text = text};
	for (char *line = strtok_r(text, "\n", &rest); rc == 0 && line != NULL; line = strtok_r(NULL, "\n", &rest)) {
		if (*line == '*')
			table = table_of(line);
		else
			rc = take_line(ret_state, table, line);
	}
	return rc;
}

bool iptables_state_is_ours(const struct iptables_state *state)
{
	return state->chains.count + state->hooks.count > 0;
}

void iptables_state_free(struct iptables_state *state)
{
	free(state->text);
	free(state->chains.items);
	free(state->hooks.items);
	free(state->lines.items);
	*state = (struct iptables_state){.text = NULL};
}

/* --- comparison */

static bool has_chain(const struct iptables_state *state, const struct iptables_chain *chain)
{
	for (size_t i = 0; i < state->chains.count; i++)
		if (state->chains.items[i].table == chain->table &&
			strcmp(state->chains.items[i].text, chain->name) == 0)
			return true;
	return false;
}

static bool is_wanted_chain(const struct iptables_rules *want, const struct iptables_present *chain)
{
	for (size_t i = 0; i < want->chain_count; i++)
		if (want->chains[i].table == chain->table && strcmp(want->chains[i].name, chain->text) == 0)
			return true;
	return false;
}

static void tell(struct nft_differences *differences, enum nft_change change, const char *tool,
	enum iptables_table table,
	const char *text)
{
	nft_difference_tell(differences, change, "%s -t %s: %s", tool, iptables_table_name(table), text);
}

/* The lines of one chain, on either side; the arrays are owned. */
struct column {
	const char **want;
	size_t want_count;
	const char **have;
	size_t have_count;
};

static bool is_line_of(const char *line, const char *chain)
{
	size_t length = strlen(chain);

	return strncmp(line + 3, chain, length) == 0 && (line[3 + length] == ' ' || line[3 + length] == '\0');
}

static int fill_column(struct column *column, const struct iptables_rules *want, size_t chain,
	const struct iptables_state *state)
{
	column->want = calloc(want->line_count + 1, sizeof(const char *));
	column->have = calloc(state->lines.count + 1, sizeof(const char *));
	if (column->want == NULL || column->have == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < want->line_count; i++)
		if (want->lines[i].chain == chain)
			column->want[column->want_count++] = want->lines[i].text;
	for (size_t i = 0; i < state->lines.count; i++)
		if (state->lines.items[i].table == want->chains[chain].table &&
			is_line_of(state->lines.items[i].text, want->chains[chain].name))
			column->have[column->have_count++] = state->lines.items[i].text;
	return 0;
}

/* What both begin with and what both end with is equal; what is between is missing, and was added. */
static void compare_column(const struct column *c, const char *tool, enum iptables_table table,
	struct nft_differences *differences)
{
	size_t from = 0;
	size_t want_end = c->want_count;
	size_t have_end = c->have_count;

	while (from < want_end && from < have_end && strcmp(c->want[from], c->have[from]) == 0)
		from++;
	while (want_end > from && have_end > from && strcmp(c->want[want_end - 1], c->have[have_end - 1]) == 0)
		want_end--, have_end--;
	for (size_t i = from; i < want_end; i++)
		tell(differences, NFT_MISSING, tool, table, c->want[i]);
	for (size_t i = from; i < have_end; i++)
		tell(differences, NFT_ADDED, tool, table, c->have[i]);
}

static int compare_chain(const struct iptables_rules *want, size_t chain, const struct iptables_state *state,
	const char *tool, struct nft_differences *differences)
{
	struct column column = {.want = NULL};
	int rc;

	if (!has_chain(state, &want->chains[chain])) {
		tell(differences, NFT_MISSING, tool, want->chains[chain].table, want->chains[chain].name);
		return 0;
	}
	rc = fill_column(&column, want, chain, state);
	if (rc == 0)
		compare_column(&column, tool, want->chains[chain].table, differences);
	free((void *)column.want);
	free((void *)column.have);
	return rc;
}

/* A chain's hook is there once, as it was written. */
static int compare_hook(const struct iptables_chain *chain, const struct iptables_state *state, bool *taken,
	const char *tool,
	struct nft_differences *differences)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	bool found = false;

	if (out == NULL)
		return -ENOMEM;
	iptables_write_hook(chain, "-A", out);
	if (fclose(out) != 0 || text == NULL) {
		free(text);
		return -ENOMEM;
	}
	for (size_t i = 0; i < state->hooks.count && !found; i++) {
		if (taken[i] || state->hooks.items[i].table != chain->table ||
			strcmp(state->hooks.items[i].text, text) != 0)
			continue;
		taken[i] = found = true;
	}
	if (!found)
		tell(differences, NFT_MISSING, tool, chain->table, text);
	free(text);
	return 0;
}

static int compare_hooks(const struct iptables_rules *want, const struct iptables_state *state, const char *tool,
	struct nft_differences *differences)
{
	bool *taken = calloc(state->hooks.count + 1, sizeof *taken);
	int rc = taken != NULL ? 0 : -ENOMEM;

	for (size_t i = 0; rc == 0 && i < want->chain_count; i++)
		if (want->chains[i].hook != NULL)
			rc = compare_hook(&want->chains[i], state, taken, tool, differences);
	for (size_t i = 0; rc == 0 && i < state->hooks.count; i++)
		if (!taken[i])
			tell(differences, NFT_ADDED, tool, state->hooks.items[i].table, state->hooks.items[i].text);
	free(taken);
	return rc;
}

int iptables_state_compare(const struct iptables_rules *want, const struct iptables_state *state, const char *tool,
	struct nft_differences *differences)
{
	int rc = compare_hooks(want, state, tool, differences);

	for (size_t i = 0; rc == 0 && i < want->chain_count; i++)
		rc = compare_chain(want, i, state, tool, differences);
	for (size_t i = 0; rc == 0 && i < state->chains.count; i++)
		if (!is_wanted_chain(want, &state->chains.items[i]))
			tell(differences, NFT_ADDED, tool, state->chains.items[i].table, state->chains.items[i].text);
	return rc;
}

/* --- the way from one to the other */

static bool concerns(const struct iptables_rules *want, const struct iptables_state *state, enum iptables_table table)
{
	for (size_t i = 0; i < want->chain_count; i++)
		if (want->chains[i].table == table)
			return true;
	for (size_t i = 0; i < state->chains.count; i++)
		if (state->chains.items[i].table == table)
			return true;
	for (size_t i = 0; i < state->hooks.count; i++)
		if (state->hooks.items[i].table == table)
			return true;
	return false;
}

/* Naming a chain makes it, or empties it; then the old ways in go, the new ones come, and the rules. */
static void write_table(const struct iptables_rules *want, const struct iptables_state *state,
	enum iptables_table table,
	FILE *out)
{
	(void)fprintf(out, "*%s\n", iptables_table_name(table));
	for (size_t i = 0; i < want->chain_count; i++)
		if (want->chains[i].table == table)
			(void)fprintf(out, ":%s - [0:0]\n", want->chains[i].name);
	for (size_t i = 0; i < state->chains.count; i++)
		if (state->chains.items[i].table == table && !is_wanted_chain(want, &state->chains.items[i]))
			(void)fprintf(out, ":%s - [0:0]\n", state->chains.items[i].text);
	for (size_t i = 0; i < state->hooks.count; i++)
		if (state->hooks.items[i].table == table)
			(void)fprintf(out, "-D%s\n", state->hooks.items[i].text + strlen("-A"));
	for (size_t i = 0; i < want->chain_count; i++) {
		if (want->chains[i].table != table || want->chains[i].hook == NULL)
			continue;
		iptables_write_hook(&want->chains[i], "-I", out);
		(void)fputc('\n', out);
	}
	for (size_t i = 0; i < want->line_count; i++)
		if (want->chains[want->lines[i].chain].table == table)
			(void)fprintf(out, "%s\n", want->lines[i].text);
	for (size_t i = 0; i < state->chains.count; i++)
		if (state->chains.items[i].table == table && !is_wanted_chain(want, &state->chains.items[i]))
			(void)fprintf(out, "-X %s\n", state->chains.items[i].text);
	(void)fputs("COMMIT\n", out);
}

void iptables_state_write_change(const struct iptables_rules *want, const struct iptables_state *state, FILE *out)
{
	for (enum iptables_table table = 0; table < IPTABLES_TABLE_COUNT; table++)
		if (concerns(want, state, table))
			write_table(want, state, table, out);
}
