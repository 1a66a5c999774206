/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the policy is built of: durations, names, ranges, regular expressions, documents, indexes.
 */
#include "tests/unit/policy_fixture.h"

#include "proxy/policy/host_index.h"
#include "proxy/policy/name.h"
#include "proxy/policy/pattern.h"
#include "proxy/policy/prefix_index.h"
#include "proxy/policy/time_span.h"
#include "proxy/policy/yaml.h"

#include <errno.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* --- durations */

static void durations_of_istio(void **state)
{
	static const struct {
		const char *text;
		int64_t nanoseconds; /* -1: refused */
	} cases[] = {
		{"3s", 3000000000}, {"0.5s", 500000000}, {"1m30s", 90000000000}, {"1h", 3600000000000}, {"100ms", 100000000},
		{"0", 0}, {"0s", 0}, {"1us", 1000}, {"1\xc2\xb5s", 1000}, {"7ns", 7}, {".5s", 500000000}, {"1.s", 1000000000},
		{"+2s", 2000000000}, {"1.000000001s", 1000000001}, {"", -1}, {"3", -1}, {"s", -1}, {".s", -1}, {"3 s", -1},
		{"3x", -1}, {"3s4", -1}, {"1d", -1}, {"9999999999h", -1}, {"99999999999999999999s", -1}, {"-", -1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		int64_t nanoseconds = -1;

		assert_int_equal(time_span_parse(cases[i].text, &nanoseconds) == 0, cases[i].nanoseconds >= 0);
		assert_int_equal(nanoseconds, cases[i].nanoseconds);
	}
}

static void durations_of_the_gateway_api(void **state)
{
	static const struct {
		const char *text;
		int64_t milliseconds; /* -1: refused */
	} cases[] = {
		{"0h", 0}, {"0s", 0}, {"150m", 9000000}, {"7230s", 7230000}, {"10s30m1h", 5410000}, {"100ms200ms300ms", 600},
		{"99999h", 359996400000}, {"1", -1}, {"1m1", -1}, {"1d", -1}, {"1h30m10s20ms50h", -1}, {"999999h", -1},
		{"1.5h", -1}, {"-15m", -1}, {"", -1}, {"0", -1}, {"5us", -1}, {"1h ", -1}, {"s", -1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		int64_t nanoseconds = -TIME_SPAN_MILLISECOND;

		assert_int_equal(time_span_parse_gateway(cases[i].text, &nanoseconds) == 0, cases[i].milliseconds >= 0);
		assert_int_equal(nanoseconds, cases[i].milliseconds * TIME_SPAN_MILLISECOND);
	}
}

/* --- names and ranges */

static void names_are_checked(void **state)
{
	static const struct {
		const char *name;
		const char *wildcard; /* what is wrong; NULL: nothing */
		const char *full;
	} cases[] = {
		{"httpbin.org", NULL, NULL},
		{"a", NULL, NULL},
		{"istio.io.", NULL, NULL},
		{"*.example.com", NULL, "domain name \"*.example.com\" invalid (label \"*\" invalid)"},
		{"*x.example.com", NULL, "domain name \"*x.example.com\" invalid (label \"*x\" invalid)"},
		{"*-x.example.com", NULL, "domain name \"*-x.example.com\" invalid (label \"*-x\" invalid)"},
		{"*", NULL, "domain name \"*\" invalid (label \"*\" invalid)"},
		{"", "empty domain name not allowed", "empty domain name not allowed"},
		{"a_b.org", "domain name \"a_b.org\" invalid (label \"a_b\" invalid)",
			"domain name \"a_b.org\" invalid (label \"a_b\" invalid)"},
		{"a.*.org", "domain name \"*.org\" invalid (label \"*\" invalid)", "domain name \"a.*.org\" invalid (label \"*\" invalid)"},
		{"a..org", "domain name \".org\" invalid (label \"\" invalid)", "domain name \"a..org\" invalid (label \"\" invalid)"},
		{"example.123", "domain name \"123\" invalid (top level domain \"123\" cannot be all-numeric)",
			"domain name \"example.123\" invalid (top level domain \"123\" cannot be all-numeric)"},
		{"-a.org", "domain name \"-a.org\" invalid (label \"-a\" invalid)",
			"domain name \"-a.org\" invalid (label \"-a\" invalid)"},
	};
	struct error e;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		if (cases[i].wildcard == NULL) {
			assert_int_equal(name_check_wildcard(cases[i].name, &e), 0);
		} else {
			assert_int_equal(name_check_wildcard(cases[i].name, &e), -EINVAL);
			assert_string_equal(e.text, cases[i].wildcard);
		}
		if (cases[i].full == NULL) {
			assert_int_equal(name_check_full(cases[i].name, &e), 0);
		} else {
			assert_int_equal(name_check_full(cases[i].name, &e), -EINVAL);
			assert_string_equal(e.text, cases[i].full);
		}
	}
}

static void subsets_of_names(void **state)
{
	(void)state;
	assert_true(name_is_subset("a.b.com", "a.b.com"));
	assert_true(name_is_subset("a.b.com", "*.b.com"));
	assert_true(name_is_subset("*.b.com", "*.com"));
	assert_true(name_is_subset("*.b.com", "*"));
	assert_false(name_is_subset("b.com", "*.b.com"));
	assert_false(name_is_subset("*.com", "*.b.com"));
	assert_false(name_is_subset("*.b.com", "a.b.com"));
	assert_true(name_is_host("a_b-1.org", 9));
	assert_true(name_is_host("[2001:DB8::1]", 13));
	assert_false(name_is_host("", 0));
	assert_false(name_is_host("[]", 2));
	assert_false(name_is_host("[a.org]x", 8));
	assert_false(name_is_host("a\0b", 3));
	assert_int_equal(name_of_authority("a.org:80", 8), 5);
	assert_int_equal(name_of_authority("[::1]:80", 8), 5);
	assert_int_equal(name_of_authority("a.org", 5), 5);
}

static void ranges(void **state)
{
	static const struct {
		const char *text;
		const char *inside;  /* NULL: the range is refused */
		const char *outside;
	} cases[] = {
		{"10.0.0.1/24", "10.0.0.255", "10.0.1.0"},
		{"10.0.0.1", "10.0.0.1", "10.0.0.2"},
		{"0.0.0.0/0", "255.1.2.3", "::1"},
		{"2001:db8::/32", "2001:db8:ffff::1", "2001:db9::1"},
		{"::1", "::1", "::2"},
		{"10.0.0.1/33", NULL, "10.0.0.1/33 is not a valid CIDR block"},
		{"10.0.0.1/", NULL, "10.0.0.1/ is not a valid CIDR block"},
		{"10.0.0.1/08", NULL, "10.0.0.1/08 is not a valid CIDR block"},
		{"ten", NULL, "ten is not a valid IP"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct address address;
		struct subnet subnet;
		struct error e;
		int rc = subnet_parse(cases[i].text, &subnet, &e);

		if (cases[i].inside == NULL) {
			assert_int_equal(rc, -EINVAL);
			assert_string_equal(e.text, cases[i].outside);
			continue;
		}
		assert_int_equal(rc, 0);
		assert_int_equal(address_parse(cases[i].inside, strlen(cases[i].inside), &address), 0);
		assert_true(subnet_contains(&subnet, &address));
		assert_int_equal(address_parse(cases[i].outside, strlen(cases[i].outside), &address), 0);
		assert_false(subnet_contains(&subnet, &address));
	}
}

/* --- regular expressions */

static void patterns_match_whole_texts(void **state)
{
	static const struct {
		const char *expression;
		const char *yes[3];
		const char *no[3];
	} cases[] = {
		{"a*b", {"b", "aaab"}, {"a", "abb"}},
		{"a|bc|d", {"a", "bc", "d"}, {"b", "ad", ""}},
		{"(a|b)*c", {"c", "abac"}, {"ab", "cab"}},
		{"x{2,4}", {"xx", "xxx", "xxxx"}, {"x", "xxxxx", ""}},
		{"x{0,2}y", {"y", "xy", "xxy"}, {"xxxy", "x"}},
		{"x{3}", {"xxx"}, {"xx", "xxxx"}},
		{"x{2,}", {"xx", "xxxxxxx"}, {"x"}},
		{"a{,2}", {"a{,2}"}, {"aa"}},
		{"/v[0-9]+/.*", {"/v1/", "/v12/x?y"}, {"/v/x", "v1/"}},
		{"[^/]+", {"abc"}, {"a/b", ""}},
		{"[]a]+", {"]a"}, {"b"}},
		{"[a-]", {"a", "-"}, {"b"}},
		{"[[:alpha:]_]+", {"aB_"}, {"a1"}},
		{"\\d+\\.\\w\\s", {"12.a "}, {"12xa ", "x.a "}},
		{"(?i)Foo", {"fOO"}, {"fo"}},
		{"a(?i)b", {"aB"}, {"AB"}},
		{"(?i:a)b", {"Ab"}, {"AB"}},
		{"^/x$", {"/x"}, {"/xy"}},
		{"\\Aa\\z", {"a"}, {"aa"}},
		{"\\bfoo\\b.*", {"foo", "foo bar"}, {"foobar"}},
		{"(a*)*", {"", "aaa"}, {"b"}},
		{"(?P<name>a)+?", {"a", "aa"}, {""}},
		{"a.c", {"abc"}, {"a\nc", "ac"}},
		{"(?s)a.c", {"a\nc"}, {"ac"}},
		{"\\x41\\x{42}", {"AB"}, {"ab"}},
		{"(?:ab){2}", {"abab"}, {"ab"}},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena arena = {.pieces = NULL};
		const struct pattern *pattern;
		struct error e;

		assert_int_equal(pattern_compile(&arena, cases[i].expression, &pattern, &e), 0);
		for (size_t j = 0; j < 3 && cases[i].yes[j] != NULL; j++)
			if (!pattern_matches(pattern, cases[i].yes[j], strlen(cases[i].yes[j])))
				fail_msg("%s does not match %s", cases[i].expression, cases[i].yes[j]);
		for (size_t j = 0; j < 3 && cases[i].no[j] != NULL; j++)
			if (pattern_matches(pattern, cases[i].no[j], strlen(cases[i].no[j])))
				fail_msg("%s matches %s", cases[i].expression, cases[i].no[j]);
		arena_free(&arena);
	}
}

static void patterns_are_refused(void **state)
{
	static const char *const expressions[] = {"(", ")", "[a", "a**", "*a", "\\", "a{1001}", "a{2,1}", "[b-a]", "\\q", "\\pL",
		"(?=a)", "(?<!a)", "((a{100}){100}){100}", "[\xc3\xa9]", "[[:nope:]]", "\\x{", "(?i", "(?z)a"};
	char large[PATTERN_LENGTH_MAX + 2];
	struct arena arena = {.pieces = NULL};
	const struct pattern *pattern;
	struct error e;

	(void)state;
	for (size_t i = 0; i < COUNT(expressions); i++)
		if (pattern_compile(&arena, expressions[i], &pattern, &e) != -EINVAL)
			fail_msg("%s is taken", expressions[i]);
	memset(large, 'a', sizeof large - 1);
	large[sizeof large - 1] = '\0';
	assert_int_equal(pattern_compile(&arena, large, &pattern, &e), -E2BIG);
	assert_string_equal(e.text, "regex is too large, max length allowed is 1024");
	arena_free(&arena);
}

static void patterns_find_groups(void **state)
{
	struct pattern_span groups[PATTERN_GROUP_MAX];
	struct arena arena = {.pieces = NULL};
	const struct pattern *pattern;
	struct error e;

	(void)state;
	assert_int_equal(pattern_compile(&arena, "/(\\w+)/(x)?(\\d+)", &pattern, &e), 0);
	assert_int_equal(pattern_search(pattern, "?/ab/12/cd/34", 13, 0, groups), 1);
	assert_int_equal(groups[0].start, 1);
	assert_int_equal(groups[0].end, 7);
	assert_int_equal(groups[1].start, 2);
	assert_int_equal(groups[1].end, 4);
	assert_true(groups[2].end == SIZE_MAX);
	assert_int_equal(groups[3].start, 5);
	assert_int_equal(pattern_search(pattern, "?/ab/12/cd/34", 13, 7, groups), 1);
	assert_int_equal(groups[0].start, 7);
	assert_int_equal(pattern_search(pattern, "?/ab/12/cd/34", 13, 8, groups), 0);
	arena_free(&arena);
}

/* What a backtracking engine takes for ever for: here each byte costs the same. */
static void patterns_do_not_explode(void **state)
{
	struct arena arena = {.pieces = NULL};
	const struct pattern *pattern;
	static char text[20000];
	struct error e;

	(void)state;
	memset(text, 'a', sizeof text);
	assert_int_equal(pattern_compile(&arena, "(a+)+(a|aa)*b", &pattern, &e), 0);
	assert_false(pattern_matches(pattern, text, sizeof text));
	arena_free(&arena);
}

/* --- documents */

/* Reads a text that is one document. Returns the tree, or NULL with what is wrong. */
static struct node *read_one(struct arena *arena, const char *text, unsigned *line, struct error *e)
{
	struct yaml_cursor cursor = yaml_begin(text, strlen(text));
	struct yaml_document document;
	struct node *root = NULL;

	e->text[0] = '\0';
	assert_true(yaml_next(&cursor, &document));
	return yaml_read(&document, arena, &root, line, e) == 0 ? root : NULL;
}

static void documents_become_trees(void **state)
{
	struct arena arena = {.pieces = NULL};
	unsigned line = 0;
	struct error e;
	const struct node *root = read_one(&arena, "a: 1\nb:\n  - x\n  - {c: \"2\", d: &k [1, 2]}\n  - *k\n", &line, &e);
	const struct node *list;

	(void)state;
	assert_non_null(root);
	assert_int_equal(node_meaning(node_get(root, "a")), NODE_INTEGER);
	list = node_get(root, "b");
	assert_int_equal(list->count, 3);
	assert_int_equal(list->line, 3);
	assert_string_equal(node_at(list, 0)->text, "x");
	assert_int_equal(node_meaning(node_get(node_at(list, 1), "c")), NODE_TEXT);
	assert_true(node_at(list, 2) == node_get(node_at(list, 1), "d"));
	assert_null(node_get(root, "z"));
	assert_null(node_at(list, 3));
	arena_free(&arena);
	root = read_one(&arena, "{\"a\": {\"b\": [true, null, \"\\u00e9\\/\"]},\n\t\"c\": -1.5e3}", &line, &e);
	assert_non_null(root);
	list = node_get(node_get(root, "a"), "b");
	assert_int_equal(node_meaning(node_at(list, 0)), NODE_BOOLEAN);
	assert_true(node_is_null(node_at(list, 1)));
	assert_string_equal(node_at(list, 2)->text, "\xc3\xa9/");
	assert_int_equal(node_meaning(node_get(root, "c")), NODE_NUMBER);
	assert_int_equal(node_get(root, "c")->line, 2);
	arena_free(&arena);
}

static void broken_documents_are_refused(void **state)
{
	static const struct {
		const char *text;
		const char *problem;
		unsigned line;
	} cases[] = {
		{"a: 1\na: 2\n", "key \"a\" is already set", 2},
		{"a: [1\nb: 2", "neither YAML nor JSON", 2},
		{"a: 1\n b: 2\n", "neither YAML nor JSON", 2},
		{"a: *nobody\n", "alias *nobody stands for nothing", 1},
		{"a: &a [*a]\n", "alias *a stands for nothing", 1},
		{"a: &x {b: 1}\nc:\n  <<: *x\n", "merge keys (<<) are not supported", 3},
		{"a: !secret x\n", "tag !secret is not supported", 1},
		{"? [a]\n: b\n", "a key must be a text", 1},
		{"a: \"x\\0y\"\n", "a text holds a NUL", 1},
		{"\"x\\0y\": 1\n", "a key holds a NUL", 1},
		{"a: \xff\n", "neither YAML nor JSON", 1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena arena = {.pieces = NULL};
		unsigned line = 0;
		struct error e;

		assert_null(read_one(&arena, cases[i].text, &line, &e));
		if (strstr(e.text, cases[i].problem) == NULL)
			fail_msg("%s: %s", cases[i].text, e.text);
		assert_int_equal(line, cases[i].line);
		arena_free(&arena);
	}
}

/* A billion of a word in 9 lines; nesting without end; more anchors than anybody needs. */
static void bombs_are_refused(void **state)
{
	struct arena arena = {.pieces = NULL};
	char *text = malloc(200000);
	unsigned line = 0;
	struct error e;
	size_t used;

	(void)state;
	assert_non_null(text);
	used = (size_t)sprintf(text, "a: &a [x,x,x,x,x,x,x,x,x,x]\n");
	for (int c = 'b'; c < 'j'; c++)
		used += (size_t)sprintf(text + used, "%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n", c, c, c - 1, c - 1, c - 1,
			c - 1, c - 1, c - 1, c - 1, c - 1, c - 1, c - 1);
	assert_null(read_one(&arena, text, &line, &e));
	assert_non_null(strstr(e.text, "more than 600000 nodes"));
	arena_free(&arena);
	memset(text, '[', 1000);
	text[1000] = '\0';
	assert_null(read_one(&arena, text, &line, &e));
	assert_non_null(strstr(e.text, "nests deeper than 64"));
	arena_free(&arena);
	used = 0;
	for (unsigned i = 0; i <= YAML_ANCHOR_MAX; i++)
		used += (size_t)sprintf(text + used, "k%u: &a%u 1\n", i, i);
	assert_null(read_one(&arena, text, &line, &e));
	assert_non_null(strstr(e.text, "more than 64 anchors"));
	arena_free(&arena);
	used = 0;
	for (unsigned i = 0; i <= YAML_KEY_MAX; i++)
		used += (size_t)sprintf(text + used, "k%u: 1\n", i);
	assert_null(read_one(&arena, text, &line, &e));
	assert_non_null(strstr(e.text, "more than 2000 keys"));
	arena_free(&arena);
	free(text);
}

/* As some editors write it. The second line is in the same column as the first. */
static void a_byte_order_mark_says_nothing(void **state)
{
	static const char *const texts[] = {"\xef\xbb\xbfx: 1\nb: 2\n", "\xef\xbb\xbf---\nx: 1\nb: 2\n", "\xef\xbb\xbf{x: 1, b: 2}"};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct arena arena = {.pieces = NULL};
		unsigned line = 0;
		struct error e;
		const struct node *root = read_one(&arena, texts[i], &line, &e);

		assert_string_equal(e.text, "");
		assert_string_equal(node_get(root, "b")->text, "2");
		arena_free(&arena);
	}
}

static void files_are_cut_into_documents(void **state)
{
	static const char text[] = "%YAML 1.1\n# head\n---\na: |\n  ---x\n  text\n---   # b\nb: 1\n---\n---\n%TAG ! x\n--- {c: 2}\n...\n";
	static const unsigned lines[] = {2, 3, 7, 9, 10, 12};
	struct yaml_cursor cursor = yaml_begin(text, strlen(text));
	struct yaml_document document;
	size_t count = 0;

	(void)state;
	while (yaml_next(&cursor, &document)) {
		assert_true(count < COUNT(lines));
		assert_int_equal(document.line, lines[count]);
		count++;
	}
	assert_int_equal(count, COUNT(lines));
}

/* --- indexes */

static void hosts_are_found(void **state)
{
	static const char *const hosts[] = {"example.com", "*.example.com", "a.b.example.com", "*.b.example.com", "*x.part.org"};
	static const struct {
		const char *name;
		int found; /* -1: none */
	} cases[] = {{"example.com", 0}, {"a.example.com", 1}, {"b.example.com", 1}, {"a.b.example.com", 2}, {"c.b.example.com", 3},
		{"d.c.b.example.com", 3}, {"com", -1}, {"xexample.com", -1}, {"yx.part.org", 4}, {"x.part.org", -1}, {"y.part.org", -1},
		{"", -1}};
	struct host_index index = {.has_partial = false};
	int values[COUNT(hosts)];
	unsigned probes = 0;

	(void)state;
	assert_null(host_index_find(&index, "a", 1, 80, &probes));
	for (size_t i = 0; i < COUNT(hosts); i++)
		assert_int_equal(host_index_add(&index, hosts[i], 80, &values[i]), 0);
	for (size_t i = 0; i < COUNT(cases); i++) {
		const int *found = host_index_find(&index, cases[i].name, strlen(cases[i].name), 80, &probes);

		if (found != (cases[i].found < 0 ? NULL : &values[cases[i].found]))
			fail_msg("%s", cases[i].name);
		assert_null(host_index_find(&index, cases[i].name, strlen(cases[i].name), 81, &probes));
	}
	assert_true(host_index_get(&index, "*.example.com", 80) == &values[1]);
	assert_null(host_index_get(&index, "*.com", 80));
	assert_true(host_index_cover(&index, "*.example.com", 80) == &values[1]);
	assert_true(host_index_cover(&index, "*.c.b.example.com", 80) == &values[3]);
	assert_null(host_index_cover(&index, "*.com", 80));
	host_index_free(&index);
}

/* What is taken out of an arena is zero, and stays where it is. */
static void fill(struct arena *arena, size_t count, size_t size, unsigned char **out)
{
	for (size_t i = 0; i < count; i++) {
		out[i] = arena_alloc(arena, size);
		assert_non_null(out[i]);
		for (size_t j = 0; j < size; j++)
			assert_int_equal(out[i][j], 0);
		memset(out[i], (int)(1 + i % 255), size);
	}
	for (size_t i = 0; i < count; i++)
		assert_true(out[i][0] == 1 + i % 255 && out[i][size - 1] == 1 + i % 255);
}

static void arenas_are_small(void **state)
{
	static unsigned char *places[1000];
	struct arena arena = {.pieces = NULL};

	(void)state;
	fill(&arena, COUNT(places), 100, places);
	/* Objects are aligned to 8 bytes; an eighth may be unused. */
	assert_in_range(arena.total, 104000, 117000);
	fill(&arena, 3, 40000, places);
	fill(&arena, 10, 100, places);
	arena_free(&arena);
	assert_int_equal(arena.total, 0);
	fill(&arena, 1, 1, places);
	assert_in_range(arena.total, 1, ARENA_PIECE_MIN);
	arena_free(&arena);
}

static void an_arena_is_cleared(void **state)
{
	struct arena arena = {.first = 4096};
	unsigned char *places[64];

	(void)state;
	for (size_t round = 0; round < 3; round++) {
		size_t total;

		fill(&arena, 30, 100, places);
		total = arena.total;
		arena_clear(&arena);
		assert_int_equal(arena.total, total);
		fill(&arena, 64, 100, places);
		assert_true(arena.total > total);
		arena_clear(&arena);
		assert_int_equal(arena.total, 0);
	}
	arena_free(&arena);
}

static void addresses_are_found(void **state)
{
	static const char *const ranges[] = {"10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "2001:db8::/32", "0.0.0.0/0"};
	static const struct {
		const char *address;
		int found; /* -1: none */
	} cases[] = {{"10.9.9.9", 0}, {"10.1.9.9", 1}, {"10.1.2.3", 2}, {"2001:db8::1", 3}, {"11.0.0.1", 4}, {"2001:db9::1", -1}};
	struct prefix_index index = {.length_count = 0};
	struct subnet subnets[COUNT(ranges)];
	int values[COUNT(ranges)];
	unsigned probes = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(ranges); i++) {
		struct subnet *subnet = &subnets[i];

		assert_int_equal(subnet_parse(ranges[i], subnet, NULL), 0);
		assert_null(prefix_index_get(&index, &subnet->address, subnet->bits, 443));
		assert_int_equal(prefix_index_add(&index, &subnet->address, subnet->bits, 443, &values[i]), 0);
		assert_true(prefix_index_get(&index, &subnet->address, subnet->bits, 443) == &values[i]);
	}
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct address address;

		assert_int_equal(address_parse(cases[i].address, strlen(cases[i].address), &address), 0);
		if (prefix_index_find(&index, &address, 443, &probes) != (cases[i].found < 0 ? NULL : &values[cases[i].found]))
			fail_msg("%s", cases[i].address);
		assert_null(prefix_index_find(&index, &address, 444, &probes));
	}
	prefix_index_free(&index);
}

/* --- indexes beside a search through everything */

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

/* A name of one to four labels out of three letters, so that most of them meet. */
static void random_name(uint32_t *seed, char out[16])
{
	size_t labels = 1 + next_random(seed) % 4;
	size_t used = 0;

	for (size_t i = 0; i < labels; i++) {
		if (i > 0)
			out[used++] = '.';
		out[used++] = (char)('a' + next_random(seed) % 3);
	}
	out[used] = '\0';
}

static bool falls_under(const char *name, const char *host)
{
	size_t length = strlen(name);
	size_t size = strlen(host);

	if (*host != '*')
		return strcmp(name, host) == 0;
	return length > size - 1 && strcmp(name + length - (size - 1), host + 1) == 0;
}

static void hosts_as_a_search_finds_them(void **state)
{
	uint32_t seed = 1;

	(void)state;
	for (int round = 0; round < 200; round++) {
		struct host_index index = {.has_partial = false};
		char hosts[40][16];
		size_t count = 0;
		unsigned probes = 0;

		for (size_t i = 0; i < COUNT(hosts); i++) {
			char *host = hosts[count];

			host[0] = '*';
			host[1] = '.';
			random_name(&seed, next_random(&seed) % 2 == 0 ? host + 2 : host);
			if (host_index_get(&index, host, 80) == NULL)
				assert_int_equal(host_index_add(&index, host, 80, hosts[count++]), 0);
		}
		for (int i = 0; i < 200; i++) {
			const char *best = NULL;
			char name[16];

			random_name(&seed, name);
			for (size_t j = 0; j < count; j++)
				if (falls_under(name, hosts[j]) &&
					(best == NULL || *hosts[j] != '*' || (*best == '*' && strlen(hosts[j]) > strlen(best))))
					best = hosts[j];
			if (host_index_find(&index, name, strlen(name), 80, &probes) != best)
				fail_msg("%s is not found as %s", name, best != NULL ? best : "nothing");
		}
		host_index_free(&index);
	}
}

static void addresses_as_a_search_finds_them(void **state)
{
	uint32_t seed = 7;

	(void)state;
	for (int round = 0; round < 200; round++) {
		struct prefix_index index = {.length_count = 0};
		struct subnet subnets[30];
		size_t count = 0;
		unsigned probes = 0;

		for (size_t i = 0; i < COUNT(subnets); i++) {
			struct subnet *subnet = &subnets[count];

			*subnet = (struct subnet){.bits = (uint8_t)(100 + next_random(&seed) % 29)};
			subnet->address.bytes[12] = (uint8_t)(next_random(&seed) % 4 << 6);
			subnet->address.bytes[15] = (uint8_t)(next_random(&seed) % 4);
			subnet_mask(&subnet->address, subnet->bits);
			if (prefix_index_get(&index, &subnet->address, subnet->bits, 80) == NULL) {
				assert_int_equal(prefix_index_add(&index, &subnet->address, subnet->bits, 80, subnet), 0);
				count++;
			}
		}
		for (int i = 0; i < 200; i++) {
			struct address address = {{[12] = (uint8_t)(next_random(&seed) % 4 << 6), [15] = (uint8_t)(next_random(&seed) % 4)}};
			const struct subnet *best = NULL;

			for (size_t j = 0; j < count; j++)
				if (subnet_contains(&subnets[j], &address) && (best == NULL || subnets[j].bits > best->bits))
					best = &subnets[j];
			assert_ptr_equal(prefix_index_find(&index, &address, 80, &probes), best);
		}
		prefix_index_free(&index);
	}
}

static void names_that_dns_can_be_asked_for(void **state)
{
	char long_name[NAME_RESOLVABLE_MAX + 2];

	(void)state;
	assert_true(name_is_resolvable("a.org"));
	assert_true(name_is_resolvable("a.org."));
	assert_true(name_is_resolvable("1.2.x3"));
	assert_true(name_is_resolvable("7.3x"));
	assert_false(name_is_resolvable(""));
	assert_false(name_is_resolvable("."));
	assert_false(name_is_resolvable("1234"));
	assert_false(name_is_resolvable("a.1"));
	assert_false(name_is_resolvable("a.1."));
	memset(long_name, 'a', sizeof long_name);
	for (size_t i = 50; i < sizeof long_name; i += 50)
		long_name[i] = '.';
	long_name[NAME_RESOLVABLE_MAX + 1] = '\0';
	assert_false(name_is_resolvable(long_name));
	long_name[NAME_RESOLVABLE_MAX] = '\0';
	assert_true(name_is_resolvable(long_name));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_that_dns_can_be_asked_for),
		cmocka_unit_test(durations_of_istio),
		cmocka_unit_test(durations_of_the_gateway_api),
		cmocka_unit_test(names_are_checked),
		cmocka_unit_test(subsets_of_names),
		cmocka_unit_test(ranges),
		cmocka_unit_test(patterns_match_whole_texts),
		cmocka_unit_test(patterns_are_refused),
		cmocka_unit_test(patterns_find_groups),
		cmocka_unit_test(patterns_do_not_explode),
		cmocka_unit_test(documents_become_trees),
		cmocka_unit_test(broken_documents_are_refused),
		cmocka_unit_test(bombs_are_refused),
		cmocka_unit_test(a_byte_order_mark_says_nothing),
		cmocka_unit_test(files_are_cut_into_documents),
		cmocka_unit_test(hosts_are_found),
		cmocka_unit_test(arenas_are_small),
		cmocka_unit_test(an_arena_is_cleared),
		cmocka_unit_test(addresses_are_found),
		cmocka_unit_test(hosts_as_a_search_finds_them),
		cmocka_unit_test(addresses_as_a_search_finds_them),
	};

	return cmocka_run_group_tests_name("policy_base", tests, NULL, NULL);
}
