/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/dns/answer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const char *const error_texts[] = {
	[ANSWER_OK] = "ok",
	[ANSWER_NXDOMAIN] = "NXDOMAIN",
	[ANSWER_NODATA] = "no address",
	[ANSWER_SERVFAIL] = "SERVFAIL",
	[ANSWER_REFUSED] = "REFUSED",
	[ANSWER_TIMEOUT] = "timeout",
	[ANSWER_UNREACHABLE] = "no server could answer",
	[ANSWER_MALFORMED] = "malformed answer",
	[ANSWER_PRIVATE] = "private address",
	[ANSWER_NO_MEMORY] = "no memory",
};
static_assert(sizeof error_texts / sizeof *error_texts == ANSWER_ERROR_COUNT, "every error has a text");

struct answer *answer_new(const char *name, size_t current_max, size_t recent_max)
{
	size_t seen_offset = (current_max + recent_max) * sizeof(struct address);
	size_t name_offset = seen_offset + recent_max * sizeof(uint32_t);
	size_t name_size = strlen(name) + 1;
	struct answer *answer = calloc(1, sizeof *answer + name_offset + name_size);

	assert(name_offset <= UINT16_MAX);
	if (answer == NULL)
		return NULL;
	atomic_init(&answer->references, 1);
	answer->seen_offset = (uint16_t)seen_offset;
	answer->name_offset = (uint16_t)name_offset;
	memcpy((char *)answer->addresses + name_offset, name, name_size);
	return answer;
}

/* Counting holders is the one thing that happens to an answer behind its constness; then it is freed. */
static struct answer *holder_of(const struct answer *answer)
{
	union {
		const struct answer *constant;
		struct answer *answer;
	} it = {.constant = answer};

	return it.answer;
}

static atomic_uint *references_of(const struct answer *answer)
{
	return &holder_of(answer)->references;
}

const struct answer *answer_ref(const struct answer *answer)
{
	if (answer != NULL)
		(void)atomic_fetch_add_explicit(references_of(answer), 1, memory_order_relaxed);
	return answer;
}

void answer_unref(const struct answer *answer)
{
	/* In this order: what other holders have read, they have read before it is freed. */
	if (answer != NULL && atomic_fetch_sub_explicit(references_of(answer), 1, memory_order_acq_rel) == 1)
		free(holder_of(answer));
}

const char *answer_name(const struct answer *answer)
{
	return (const char *)answer->addresses + answer->name_offset;
}

uint32_t answer_seen(const struct answer *answer, size_t recent)
{
	uint32_t seconds;

	memcpy(&seconds, (const char *)answer->addresses + answer->seen_offset + recent * sizeof seconds, sizeof seconds);
	return seconds;
}

void answer_set_seen(struct answer *answer, size_t recent, uint32_t seconds)
{
	memcpy((char *)answer->addresses + answer->seen_offset + recent * sizeof seconds, &seconds, sizeof seconds);
}

bool answer_has(const struct answer *answer, const struct address *address)
{
	for (size_t i = 0; i < (size_t)answer->count + answer->recent_count; i++)
		if (memcmp(answer->addresses[i].bytes, address->bytes, sizeof address->bytes) == 0)
			return true;
	return false;
}

const char *answer_error_text(enum answer_error error)
{
	return error_texts[error];
}
