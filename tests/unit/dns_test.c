/* SPDX-License-Identifier: Apache-2.0 */
/* The resolver's pure parts, on a clock of their own. */
#include "proxy/dns/agenda.h"
#include "proxy/dns/guard.h"
#include "proxy/dns/hash.h"
#include "proxy/dns/index.h"
#include "proxy/dns/name.h"
#include "proxy/dns/record.h"
#include "proxy/dns/resolver_state.h"
#include "proxy/dns/wanted.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#define SECOND 1000
#define MINUTE 60000

/* When the tests begin: no time is 0. */
#define START 5000000

static struct address address_of(const char *text)
{
	struct address address;

	assert_int_equal(address_parse(text, strlen(text), &address), 0);
	return address;
}

/* --- a name's record */

struct life {
	struct record record;
	const struct answer *answer;
	int64_t now;
	int64_t pause; /* after the last lookup */
};

static void begin(struct life *life)
{
	*life = (struct life){.answer = answer_new("a.test", 0, 0), .now = START};
	assert_non_null(life->answer);
}

static void end(struct life *life)
{
	answer_unref(life->answer);
}

/* Addresses, separated by blanks. */
static struct reply good(uint32_t ttl, const char *addresses)
{
	struct reply reply = {.error = ANSWER_OK, .ttl = ttl};

	while (*addresses != '\0') {
		size_t length = strcspn(addresses, " ");

		assert_int_equal(address_parse(addresses, length, &reply.addresses[reply.count++]), 0);
		addresses += length + (addresses[length] == ' ');
	}
	return reply;
}

static struct reply bad(enum answer_error error)
{
	return (struct reply){.error = error};
}

static void take(struct life *life, const struct reply *ipv4, const struct reply *ipv6)
{
	const struct reply *const replies[] = {ipv4, ipv6};
	struct answer *answer = record_answer(&life->record, life->answer, replies, life->now);

	assert_non_null(answer);
	answer_unref(life->answer);
	life->answer = answer;
}

/* A lookup, `after` the one before. */
static void look_up(struct life *life, int64_t after, struct reply ipv4, struct reply ipv6)
{
	const struct reply *const replies[] = {&ipv4, &ipv6};

	life->now += after;
	take(life, &ipv4, &ipv6);
	life->pause = record_pause(&life->record, replies, MINUTE, 0);
}

/* "STATE ERROR ADDRESSES | RECENT ADDRESSES" */
static void expect(const struct life *life, const char *expected)
{
	static const char *const states[] = {"none", "good", "stale", "failed"};
	const struct answer *answer = life->answer;
	char text[4096];
	char one[ADDRESS_TEXT_SIZE];
	int used = snprintf(text, sizeof text, "%s %s", states[answer->state], answer_error_text(answer->error));

	for (size_t i = 0; i < (size_t)answer->count + answer->recent_count; i++)
		used += snprintf(text + used, sizeof text - (size_t)used, "%s %s", i == answer->count ? " |" : "",
			address_format(one, &answer->addresses[i]));
	assert_string_equal(text, expected);
	assert_string_equal(answer_name(answer), "a.test");
}

static void both_families_make_one_answer(void **state)
{
	struct life life;

	(void)state;
	begin(&life);
	expect(&life, "none ok");
	look_up(&life, 0, good(30, "192.0.2.2 192.0.2.1 192.0.2.2"), good(20, "2001:db8::2 2001:db8::1"));
	expect(&life, "good ok 192.0.2.2 192.0.2.1 2001:db8::2 2001:db8::1");
	assert_int_equal(life.answer->ipv4_count, 2);
	assert_int_equal(life.pause, 20 * SECOND);
	/* Data that is no longer there is gone when the other family is. */
	look_up(&life, life.pause, good(30, "192.0.2.1"), bad(ANSWER_NODATA));
	expect(&life, "good ok 192.0.2.1 | 192.0.2.2 2001:db8::2 2001:db8::1");
	look_up(&life, life.pause, bad(ANSWER_NXDOMAIN), good(30, "2001:db8::1"));
	expect(&life, "good ok 2001:db8::1 | 192.0.2.1 192.0.2.2 2001:db8::2");
	end(&life);
}

static void a_family_that_fails_keeps_its_addresses_for_a_while(void **state)
{
	struct life life;

	(void)state;
	begin(&life);
	look_up(&life, 0, good(300, "192.0.2.1"), good(300, "2001:db8::1"));
	look_up(&life, 4 * MINUTE, good(300, "192.0.2.1"), bad(ANSWER_SERVFAIL));
	expect(&life, "good ok 192.0.2.1 2001:db8::1");
	assert_int_equal(life.pause, 30 * SECOND);
	look_up(&life, MINUTE - 1, good(300, "192.0.2.1"), bad(ANSWER_TIMEOUT));
	expect(&life, "good ok 192.0.2.1 2001:db8::1");
	look_up(&life, 1, good(300, "192.0.2.1"), bad(ANSWER_TIMEOUT));
	expect(&life, "good ok 192.0.2.1 | 2001:db8::1");
	end(&life);
}

static void the_last_good_answer_is_kept_for_five_minutes(void **state)
{
	struct life life;

	(void)state;
	begin(&life);
	look_up(&life, 0, good(60, "192.0.2.1"), good(60, "2001:db8::1"));
	look_up(&life, MINUTE, bad(ANSWER_NXDOMAIN), bad(ANSWER_NXDOMAIN));
	expect(&life, "stale NXDOMAIN 192.0.2.1 2001:db8::1");
	look_up(&life, MINUTE, bad(ANSWER_NODATA), bad(ANSWER_TIMEOUT));
	expect(&life, "stale timeout 192.0.2.1 2001:db8::1");
	look_up(&life, MINUTE, bad(ANSWER_PRIVATE), bad(ANSWER_NODATA));
	expect(&life, "stale private address 192.0.2.1 2001:db8::1");
	look_up(&life, 2 * MINUTE - 1, bad(ANSWER_SERVFAIL), bad(ANSWER_NODATA));
	expect(&life, "stale SERVFAIL 192.0.2.1 2001:db8::1");
	look_up(&life, 1, bad(ANSWER_SERVFAIL), bad(ANSWER_NODATA));
	expect(&life, "failed SERVFAIL");
	/* And does not come back. */
	look_up(&life, 1, bad(ANSWER_REFUSED), bad(ANSWER_REFUSED));
	expect(&life, "failed REFUSED");
	look_up(&life, 1, good(60, "192.0.2.9"), bad(ANSWER_NODATA));
	expect(&life, "good ok 192.0.2.9");
	end(&life);
}

static void half_an_answer_changes_its_own_family_only(void **state)
{
	struct reply four = good(60, "192.0.2.2");
	struct life life;

	(void)state;
	begin(&life);
	take(&life, &four, NULL);
	expect(&life, "good ok 192.0.2.2");
	look_up(&life, 0, four, good(60, "2001:db8::1"));
	expect(&life, "good ok 192.0.2.2 2001:db8::1");
	four = good(60, "192.0.2.3");
	take(&life, &four, NULL);
	expect(&life, "good ok 192.0.2.3 2001:db8::1 | 192.0.2.2");
	end(&life);
}

static void earlier_addresses_are_remembered_for_five_minutes(void **state)
{
	struct address one = address_of("192.0.2.1");
	struct life life;

	(void)state;
	begin(&life);
	look_up(&life, 0, good(60, "192.0.2.1"), bad(ANSWER_NODATA));
	look_up(&life, MINUTE, good(60, "192.0.2.2"), bad(ANSWER_NODATA));
	expect(&life, "good ok 192.0.2.2 | 192.0.2.1");
	assert_true(answer_has(life.answer, &one));
	look_up(&life, MINUTE, good(60, "192.0.2.3"), bad(ANSWER_NODATA));
	expect(&life, "good ok 192.0.2.3 | 192.0.2.2 192.0.2.1");
	look_up(&life, 4 * MINUTE, good(60, "192.0.2.3"), bad(ANSWER_NODATA));
	expect(&life, "good ok 192.0.2.3 | 192.0.2.2");
	look_up(&life, MINUTE, good(60, "192.0.2.3"), bad(ANSWER_NODATA));
	expect(&life, "good ok 192.0.2.3");
	assert_false(answer_has(life.answer, &one));
	end(&life);
}

static void earlier_addresses_have_a_bound(void **state)
{
	struct life life;

	(void)state;
	begin(&life);
	for (uint8_t round = 0; round < 10; round++) {
		struct reply reply = {.error = ANSWER_OK, .ttl = 1, .count = ANSWER_FAMILY_MAX};

		for (uint8_t i = 0; i < ANSWER_FAMILY_MAX; i++)
			reply.addresses[i] = (struct address){{[10] = 0xff, 0xff, 192, 0, round, i}};
		look_up(&life, SECOND, reply, bad(ANSWER_NODATA));
	}
	assert_int_equal(life.answer->count, ANSWER_FAMILY_MAX);
	assert_int_equal(life.answer->recent_count, ANSWER_RECENT_MAX);
	/* The latest ones. */
	assert_int_equal(life.answer->addresses[ANSWER_FAMILY_MAX].bytes[14], 8);
	end(&life);
}

static void pauses_follow_the_ttl(void **state)
{
	static const struct {
		uint32_t ttl;
		int64_t pause;
	} rows[] = {
		{0, MINUTE}, {1, SECOND}, {5, 5 * SECOND}, {3600, 3600 * SECOND}, {86400, 3600 * SECOND},
		{UINT32_MAX, 3600 * SECOND},
	};
	struct life life;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		begin(&life);
		look_up(&life, 0, good(rows[i].ttl, "192.0.2.1"), bad(ANSWER_NODATA));
		assert_int_equal(life.pause, rows[i].pause);
		end(&life);
	}
}

static void a_refresh_rate_has_a_floor(void **state)
{
	struct reply reply = good(0, "192.0.2.1");
	const struct reply *const replies[] = {&reply, &reply};
	struct record record = {{0}, 0};

	(void)state;
	assert_int_equal(record_pause(&record, replies, 0, 0), SECOND);
	assert_int_equal(record_pause(&record, replies, 5, 0), SECOND);
	assert_int_equal(record_pause(&record, replies, 5000, 0), 5000);
}

static void retries_double_up_to_thirty_seconds(void **state)
{
	static const int64_t pauses[] = {1, 2, 4, 8, 16, 30, 30, 30};
	struct life life;

	(void)state;
	begin(&life);
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < sizeof pauses / sizeof *pauses; i++) {
			look_up(&life, 0, bad(ANSWER_TIMEOUT), bad(ANSWER_TIMEOUT));
			assert_int_equal(life.pause, pauses[i] * SECOND);
		}
		look_up(&life, 0, good(60, "192.0.2.1"), bad(ANSWER_TIMEOUT));
	}
	life.record.failures = UINT32_MAX - 1;
	look_up(&life, 0, bad(ANSWER_TIMEOUT), bad(ANSWER_TIMEOUT));
	assert_int_equal(life.pause, 30 * SECOND);
	end(&life);
}

static void pauses_are_spread(void **state)
{
	struct reply fine = good(160, "192.0.2.1");
	struct reply failed = bad(ANSWER_TIMEOUT);
	const struct reply *const fines[] = {&fine, &fine};
	const struct reply *const failures[] = {&failed, &failed};
	struct record record = {{0}, 0};

	(void)state;
	/* A refresh is not before the TTL has passed, a retry not after the longest pause. */
	assert_int_equal(record_pause(&record, fines, MINUTE, UINT32_MAX), 169 * SECOND + 999);
	assert_int_equal(record_pause(&record, fines, MINUTE, 0x8000), 165 * SECOND);
	record.failures = 10;
	assert_int_equal(record_pause(&record, failures, MINUTE, UINT32_MAX), 22 * SECOND + 501);
	assert_int_equal(record_pause(&record, failures, MINUTE, 0x8000), 26 * SECOND + 250);
}

/* --- what is taken from an answer */

static void unusable_addresses_are_never_taken(void **state)
{
	struct reply reply =
		good(60, "0.0.0.0 0.1.2.3 224.0.0.1 239.255.255.255 255.255.255.255 192.0.2.1 :: ff02::1 10.0.0.1");

	(void)state;
	reply_filter(&reply, "a.example.com", false);
	assert_int_equal(reply.error, ANSWER_OK);
	assert_int_equal(reply.count, 2);
	reply = good(60, "0.0.0.0");
	reply_filter(&reply, "a.example.com", false);
	assert_int_equal(reply.error, ANSWER_PRIVATE);
	reply = bad(ANSWER_SERVFAIL);
	reply_filter(&reply, "a.example.com", true);
	assert_int_equal(reply.error, ANSWER_SERVFAIL);
}

static void private_addresses(void **state)
{
	static const struct {
		const char *address;
		bool is_private;
	} rows[] = {
		{"9.255.255.255", false}, {"10.0.0.0", true}, {"10.255.255.255", true}, {"11.0.0.0", false},
		{"100.63.255.255", false}, {"100.64.0.0", true}, {"100.127.255.255", true}, {"100.128.0.0", false},
		{"127.0.0.1", true}, {"169.254.169.254", true}, {"169.255.0.0", false},
		{"172.15.255.255", false}, {"172.16.0.0", true}, {"172.31.255.255", true}, {"172.32.0.0", false},
		{"192.168.0.1", true}, {"192.169.0.0", false}, {"198.17.0.0", false}, {"198.18.0.0", true}, {"198.20.0.0", false},
		{"1.1.1.1", false}, {"8.8.8.8", false}, {"240.0.0.1", false},
		{"::1", true}, {"::2", true}, {"fbff::1", false}, {"fc00::1", true}, {"fdff::1", true}, {"fe00::1", false},
		{"fe80::1", true}, {"febf::1", true}, {"fec0::1", true}, {"2001:db8::1", false}, {"2606:4700::1111", false},
		{"::10.0.0.1", true}, {"64:ff9b::10.0.0.1", true}, {"64:ff9b::8.8.8.8", false}, {"64:ff9b:1::192.168.0.1", true},
		{"2002:a00:1::", true}, {"2002:808:808::", false}, {"2002:7f00:1::1", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct address address = address_of(rows[i].address);

		if (guard_is_private(&address) != rows[i].is_private)
			fail_msg("%s", rows[i].address);
	}
}

static void public_names(void **state)
{
	static const char *const public[] = {"example.com", "a.b.example.com", "notlocal.com", "local.com", "mylan.de",
		"a.xlocal"};
	static const char *const local[] = {"localhost", "db", "db.internal", "a.b.local", "web.default.svc.cluster.local",
		"router.home.arpa", "x.test"};

	(void)state;
	for (size_t i = 0; i < sizeof public / sizeof *public; i++)
		assert_true(guard_is_public(public[i]));
	for (size_t i = 0; i < sizeof local / sizeof *local; i++)
		assert_false(guard_is_public(local[i]));
}

/* --- names */

static void names_have_one_form(void **state)
{
	static const struct {
		const char *text;
		const char *normal; /* NULL: no name */
	} rows[] = {
		{"example.com", "example.com"}, {"EXAMPLE.Com.", "example.com"}, {"a", "a"}, {"_dmarc.a-b.c1", "_dmarc.a-b.c1"},
		{"1.2.3.x4", "1.2.3.x4"}, {"", NULL}, {".", NULL}, {"..", NULL}, {"a..b", NULL}, {".a", NULL}, {"a..", NULL},
		{"1.2.3.4", NULL}, {"12", NULL}, {"a.12", NULL}, {"::1", NULL}, {"a b", NULL}, {"a\\.b", NULL}, {"*.a", NULL},
		{"a/b", NULL}, {"\xc3\xa9.a", NULL}, {"a:80", NULL},
	};
	char normal[NAME_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int length = name_normalize(rows[i].text, normal);

		if (rows[i].normal == NULL) {
			assert_int_equal(length, -EINVAL);
			continue;
		}
		assert_int_equal(length, strlen(rows[i].normal));
		assert_string_equal(normal, rows[i].normal);
		assert_int_equal(name_is_normal(rows[i].text), strcmp(rows[i].text, rows[i].normal) == 0);
	}
}

static void names_have_bounds(void **state)
{
	char text[300];
	char normal[NAME_SIZE];

	(void)state;
	memset(text, 'a', sizeof text);
	for (size_t i = 63; i < sizeof text; i += 64)
		text[i] = '.';
	text[253] = '\0';
	assert_int_equal(name_normalize(text, normal), 253);
	text[253] = '.';
	text[254] = '\0';
	assert_int_equal(name_normalize(text, normal), 253);
	text[253] = 'a';
	assert_int_equal(name_normalize(text, normal), -EINVAL);
	memset(text, 'a', 64);
	text[63] = '\0';
	assert_int_equal(name_normalize(text, normal), 63);
	text[63] = 'a';
	text[64] = '\0';
	assert_int_equal(name_normalize(text, normal), -EINVAL);
}

static void wanted_names_are_copied(void **state)
{
	const char *names[] = {"B.example.", "a.example"};
	struct wanted *wanted;
	struct error e;

	(void)state;
	assert_int_equal(wanted_new(names, 2, 2, &wanted, &e), 0);
	assert_int_equal(wanted->count, 2);
	assert_memory_equal(wanted->names, "b.example\0a.example", 20);
	free(wanted);
	assert_int_equal(wanted_new(names, 0, 2, &wanted, &e), 0);
	free(wanted);
	assert_int_equal(wanted_new(names, 2, 1, &wanted, &e), 1);
	assert_string_equal(e.text, "2 names to resolve are more than the 1 that are possible; the first ones are");
	assert_int_equal(wanted->count, 1);
	assert_string_equal(wanted->names, "b.example");
	free(wanted);
	names[0] = "10.0.0.1";
	assert_int_equal(wanted_new(names, 2, 2, &wanted, &e), 0);
	assert_int_equal(wanted->count, 1);
	assert_string_equal(wanted->names, "a.example");
	free(wanted);
}

/* --- the agenda */

#define ITEM_COUNT 1000

static void the_agenda_is_in_order(void **state)
{
	static struct agenda_item items[ITEM_COUNT];
	struct agenda agenda;
	int64_t last = INT64_MIN;
	size_t left = 0;

	(void)state;
	assert_int_equal(agenda_init(&agenda, ITEM_COUNT), 0);
	assert_null(agenda_first(&agenda));
	srandom(1);
	for (int round = 0; round < 20 * ITEM_COUNT; round++) {
		struct agenda_item *item = &items[random() % ITEM_COUNT];

		if (random() % 4 == 0)
			agenda_remove(&agenda, item);
		else
			agenda_set(&agenda, item, random() % 500);
	}
	for (size_t i = 0; i < ITEM_COUNT; i++)
		left += items[i].place != 0;
	assert_int_equal(agenda.count, left);
	for (; left > 0; left--) {
		struct agenda_item *first = agenda_first(&agenda);

		assert_true(first->due >= last);
		last = first->due;
		agenda_remove(&agenda, first);
		assert_int_equal(first->place, 0);
	}
	assert_null(agenda_first(&agenda));
	agenda_free(&agenda);
}

/* --- the index */

static void the_hash_is_siphash_1_3(void **state)
{
	const struct hash_key zero = {{0, 0}};
	const struct hash_key other = {{1, 0}};

	(void)state;
	/* What another implementation says (Python's hash() of bytes, with PYTHONHASHSEED=0). */
	assert_true(hash_bytes(&zero, "a", 1) == 0x407448d2b89b1813);
	assert_true(hash_bytes(&zero, "example.com", 11) == 0x7e0432aaedb1758c);
	assert_true(hash_bytes(&zero, "12345678", 8) == 0x3489982430560a87);
	assert_true(hash_bytes(&other, "a", 1) != 0x407448d2b89b1813);
}

#define NAME_COUNT 2000

static void index_one(struct index *index, struct index_name *name, const char *addresses)
{
	struct reply reply = good(60, addresses);
	struct answer *fresh = answer_new(answer_name(name->answer), reply.count, 0);
	struct index_link *links;
	const struct answer *answer = fresh;

	assert_non_null(fresh);
	memcpy(fresh->addresses, reply.addresses, reply.count * sizeof *fresh->addresses);
	fresh->count = reply.count;
	links = index_links(index, name, answer);
	index_replace(index, name, &answer, &links);
	answer_unref(answer);
	free(links);
}

static size_t count_names(const struct index *index, const char *address_text)
{
	struct address address = address_of(address_text);
	const struct answer *out[8];

	return index_find_address(index, &address, out, 8);
}

static void the_index_finds_names_and_addresses(void **state)
{
	static struct index_name names[NAME_COUNT];
	struct index index;
	char text[64];

	(void)state;
	assert_int_equal(index_init(&index), 0);
	for (size_t i = 0; i < NAME_COUNT; i++) {
		(void)snprintf(text, sizeof text, "name%zu.test", i);
		index_add(&index, &names[i], answer_new(text, 0, 0));
		(void)snprintf(text, sizeof text, "10.0.%zu.%zu 10.1.1.1", i / 250, i % 250);
		index_one(&index, &names[i], text);
	}
	assert_ptr_equal(index_find(&index, "name7.test"), &names[7]);
	assert_ptr_equal(index_find(&index, "name1999.test"), &names[1999]);
	assert_null(index_find(&index, "name2000.test"));
	assert_int_equal(count_names(&index, "10.0.0.7"), 1);
	assert_int_equal(count_names(&index, "10.1.1.1"), 8);
	assert_int_equal(count_names(&index, "10.2.2.2"), 0);
	index_one(&index, &names[7], "10.2.2.2 2001:db8::7");
	assert_int_equal(count_names(&index, "10.0.0.7"), 0);
	assert_int_equal(count_names(&index, "10.2.2.2"), 1);
	assert_int_equal(count_names(&index, "2001:db8::7"), 1);
	for (size_t i = 0; i < NAME_COUNT; i++)
		index_remove(&index, &names[i]);
	assert_null(index_find(&index, "name7.test"));
	assert_int_equal(count_names(&index, "10.1.1.1"), 0);
	assert_int_equal(index.names.count, 0);
	assert_int_equal(index.addresses.count, 0);
	index_free(&index);
}

/* --- who stays, and who is due */

/* One without sockets. */
static void begin_resolver(struct resolver *resolver, size_t max)
{
	*resolver = (struct resolver){.lock = PTHREAD_MUTEX_INITIALIZER};
	TAILQ_INIT(&resolver->entries);
	for (size_t i = 0; i < LANE_COUNT; i++) {
		TAILQ_INIT(&resolver->lanes[i].waited);
		TAILQ_INIT(&resolver->lanes[i].due);
	}
	assert_int_equal(index_init(&resolver->index), 0);
	assert_int_equal(agenda_init(&resolver->agenda, max), 0);
}

static void a_name_stays_while_it_is_needed(void **state)
{
	struct resolver resolver;
	struct resolver_entry *entry;

	(void)state;
	begin_resolver(&resolver, 1);
	entry = entry_new_locked(&resolver, "a.test", true);
	assert_non_null(entry);
	assert_ptr_equal(TAILQ_FIRST(&resolver.lanes[LANE_POLICY].due), entry);
	assert_false(entry_drop(&resolver, entry, START));
	/* No longer the policy's, but somebody asked for it. */
	entry->wanted = false;
	entry->used = START;
	assert_false(entry_drop(&resolver, entry, START + RESOLVER_IDLE_TIME - 1));
	entry->waiting = 1;
	assert_false(entry_drop(&resolver, entry, START + RESOLVER_IDLE_TIME));
	entry_make_due(&resolver, entry);
	assert_null(TAILQ_FIRST(&resolver.lanes[LANE_POLICY].due));
	assert_ptr_equal(TAILQ_FIRST(&resolver.lanes[LANE_DEMAND].waited), entry);
	entry->waiting = 0;
	assert_true(entry_drop(&resolver, entry, START + RESOLVER_IDLE_TIME));
	assert_null(TAILQ_FIRST(&resolver.lanes[LANE_DEMAND].waited));
	assert_null(index_find(&resolver.index, "a.test"));
	assert_int_equal(resolver.entry_count, 0);
	index_free(&resolver.index);
	agenda_free(&resolver.agenda);
}

/* How often the resolver's thread has been woken since the last time. */
static uint64_t count_wakes(const struct resolver *resolver)
{
	uint64_t count = 0;

	(void)!read(resolver->wake, &count, sizeof count);
	return count;
}

/* Who asks for a name that others wait for already costs the thread nothing. */
static void a_further_waiter_wakes_nobody(void **state)
{
	struct resolver resolver;
	struct resolver_client client;
	struct resolver_wait waits[3];
	struct error e;

	(void)state;
	begin_resolver(&resolver, 1);
	TAILQ_INIT(&resolver.asked);
	TAILQ_INIT(&resolver.waiting);
	resolver.wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	assert_int_equal(resolver_client_init(&client, &e), 0);
	assert_int_equal(resolver_lookup(&resolver, &client, &waits[0], "a.test"), 1);
	assert_int_equal(count_wakes(&resolver), 1);
	wait_take_locked(&resolver);
	assert_int_equal(resolver_lookup(&resolver, &client, &waits[1], "a.test"), 1);
	assert_int_equal(count_wakes(&resolver), 0);
	assert_int_equal(waits[1].entry->waiting, 2);
	/* When the others have gone, the thread has to hear of it. */
	resolver_cancel(&resolver, &waits[0]);
	resolver_cancel(&resolver, &waits[1]);
	assert_int_equal(resolver_lookup(&resolver, &client, &waits[2], "a.test"), 1);
	assert_int_equal(count_wakes(&resolver), 1);
	resolver_cancel(&resolver, &waits[2]);
	assert_true(entry_drop(&resolver, TAILQ_FIRST(&resolver.entries), resolver_now() + RESOLVER_IDLE_TIME));
	resolver_client_free(&client);
	(void)close(resolver.wake);
	index_free(&resolver.index);
	agenda_free(&resolver.agenda);
}

/* A name whose last lookup ended in a state, to be looked up in an hour. */
static struct resolver_entry *sleeper(struct resolver *resolver, const char *name, enum answer_state state)
{
	struct resolver_entry *entry = entry_new_locked(resolver, name, true);
	struct answer *fresh = answer_new(name, 0, 0);
	const struct answer *answer = fresh;
	struct index_link *links = NULL;

	assert_non_null(entry);
	assert_non_null(fresh);
	fresh->state = state;
	index_replace(&resolver->index, &entry->name, &answer, &links);
	answer_unref(answer);
	TAILQ_REMOVE(entry->list, entry, due);
	entry->list = NULL;
	entry->record.failures = 9;
	agenda_set(&resolver->agenda, &entry->agenda, START + 60 * MINUTE);
	return entry;
}

static void new_servers_are_asked_for_what_has_failed(void **state)
{
	struct resolver resolver;
	struct resolver_entry *entries[3];
	struct resolver_entry *entry;

	(void)state;
	begin_resolver(&resolver, 3);
	entries[0] = sleeper(&resolver, "good.test", ANSWER_GOOD);
	entries[1] = sleeper(&resolver, "stale.test", ANSWER_STALE);
	entries[2] = sleeper(&resolver, "failed.test", ANSWER_FAILED);
	names_apply_servers(&resolver);
	assert_null(TAILQ_FIRST(&resolver.lanes[LANE_POLICY].due));
	resolver.has_new_servers = true;
	names_apply_servers(&resolver);
	assert_false(resolver.has_new_servers);
	assert_ptr_equal(agenda_first(&resolver.agenda), &entries[0]->agenda);
	assert_int_equal(resolver.agenda.count, 1);
	assert_ptr_equal(TAILQ_FIRST(&resolver.lanes[LANE_POLICY].due), entries[1]);
	assert_ptr_equal(TAILQ_NEXT(entries[1], due), entries[2]);
	assert_int_equal(entries[2]->record.failures, 0);
	while ((entry = TAILQ_FIRST(&resolver.entries)) != NULL) {
		entry->wanted = false;
		assert_true(entry_drop(&resolver, entry, START));
	}
	index_free(&resolver.index);
	agenda_free(&resolver.agenda);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_families_make_one_answer),
		cmocka_unit_test(a_family_that_fails_keeps_its_addresses_for_a_while),
		cmocka_unit_test(the_last_good_answer_is_kept_for_five_minutes),
		cmocka_unit_test(half_an_answer_changes_its_own_family_only),
		cmocka_unit_test(earlier_addresses_are_remembered_for_five_minutes),
		cmocka_unit_test(earlier_addresses_have_a_bound),
		cmocka_unit_test(pauses_follow_the_ttl),
		cmocka_unit_test(a_refresh_rate_has_a_floor),
		cmocka_unit_test(retries_double_up_to_thirty_seconds),
		cmocka_unit_test(pauses_are_spread),
		cmocka_unit_test(unusable_addresses_are_never_taken),
		cmocka_unit_test(private_addresses),
		cmocka_unit_test(public_names),
		cmocka_unit_test(names_have_one_form),
		cmocka_unit_test(names_have_bounds),
		cmocka_unit_test(wanted_names_are_copied),
		cmocka_unit_test(the_agenda_is_in_order),
		cmocka_unit_test(the_hash_is_siphash_1_3),
		cmocka_unit_test(the_index_finds_names_and_addresses),
		cmocka_unit_test(a_name_stays_while_it_is_needed),
		cmocka_unit_test(a_further_waiter_wakes_nobody),
		cmocka_unit_test(new_servers_are_asked_for_what_has_failed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
