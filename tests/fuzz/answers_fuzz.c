/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What servers send, from the message on: each lookup is a byte for the time that has passed and what is guarded, and
 * two messages behind their lengths. Whatever they are, answers hold what the policy may rely on.
 */
#include "tests/fuzz/fuzz.h"

#include "proxy/dns/guard.h"
#include "proxy/dns/query.h"
#include "proxy/dns/record.h"

#include <string.h>

#define NAME "name.example.com"

struct input {
	const uint8_t *next;
	size_t left;
};

static uint8_t take_byte(struct input *input)
{
	if (input->left == 0)
		return 0;
	input->left--;
	return *input->next++;
}

/* A copy of its own, so that a sanitizer sees who reads beyond it. */
static void take_reply(struct input *input, enum family family, struct reply *ret_reply)
{
	size_t size = take_byte(input);
	uint8_t *message;

	size = size << 8 | take_byte(input);
	size = size < input->left ? size : input->left;
	message = malloc(size + 1);
	if (message == NULL)
		abort();
	memcpy(message, input->next, size);
	query_read(family, message, (int)size, ret_reply);
	free(message);
	input->next += size;
	input->left -= size;
}

static void check_reply(const struct reply *reply, enum family family, bool guarded)
{
	FUZZ_CHECK(reply->count <= ANSWER_FAMILY_MAX);
	FUZZ_CHECK((reply->error == ANSWER_OK) == (reply->count > 0));
	for (size_t i = 0; i < reply->count; i++) {
		FUZZ_CHECK(address_is_ipv4(&reply->addresses[i]) == (family == FAMILY_IPV4));
		FUZZ_CHECK(!guard_is_unusable(&reply->addresses[i]));
		FUZZ_CHECK(!guarded || !guard_is_private(&reply->addresses[i]));
	}
}

static void check_answer(const struct answer *answer)
{
	size_t total = (size_t)answer->count + answer->recent_count;

	FUZZ_CHECK(answer->ipv4_count <= answer->count && answer->count <= FAMILY_COUNT * ANSWER_FAMILY_MAX);
	FUZZ_CHECK(answer->recent_count <= ANSWER_RECENT_MAX);
	FUZZ_CHECK((answer->count > 0) == (answer->state == ANSWER_GOOD || answer->state == ANSWER_STALE));
	FUZZ_CHECK((answer->error == ANSWER_OK) == (answer->state == ANSWER_GOOD));
	for (size_t i = 0; i < answer->count; i++)
		FUZZ_CHECK(address_is_ipv4(&answer->addresses[i]) == (i < answer->ipv4_count));
	for (size_t i = 0; i < total; i++)
		for (size_t j = i + 1; j < total; j++)
			FUZZ_CHECK(memcmp(&answer->addresses[i], &answer->addresses[j], sizeof *answer->addresses) != 0);
	FUZZ_CHECK(strcmp(answer_name(answer), NAME) == 0);
}

static struct answer *look_up(struct record *record, const struct answer *before, struct input *input, int64_t *now)
{
	struct reply replies[FAMILY_COUNT];
	const struct reply *const both[] = {&replies[FAMILY_IPV4], &replies[FAMILY_IPV6]};
	uint8_t control = take_byte(input);
	struct answer *answer;
	int64_t pause;

	for (enum family family = 0; family < FAMILY_COUNT; family++) {
		take_reply(input, family, &replies[family]);
		reply_filter(&replies[family], NAME, control & 1);
		check_reply(&replies[family], family, control & 1);
	}
	*now += (int64_t)(control >> 1) * 5000;
	answer = record_answer(record, before, both, *now);
	if (answer == NULL)
		abort();
	check_answer(answer);
	pause = record_pause(record, both, 60000, control * 0x01010101u);
	FUZZ_CHECK(pause >= 750 && pause <= RECORD_REFRESH_MAX + RECORD_REFRESH_MAX / 16);
	return answer;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	struct record record = {{0}, 0};
	struct answer *answer = answer_new(NAME, 0, 0);
	int64_t now = 1;

	while (input.left > 0) {
		struct answer *next = look_up(&record, answer, &input, &now);

		answer_unref(answer);
		answer = next;
	}
	answer_unref(answer);
	return 0;
}
