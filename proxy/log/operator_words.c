/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/log/operator_words.h"

#include <assert.h>

/* RESPONSE_FLAGS and CONNECTION_TERMINATION_DETAILS of each end. The words are ours where Istio has none. */
static const struct end {
	const char *flags;
	const char *details; /* NULL: none */
} ends[] = {
	[FACTS_END_PLAIN] = {"-", NULL},
	[FACTS_END_CONNECT_FAILED] = {"UF,URX", NULL},
	[FACTS_END_CONNECT_TIMEOUT] = {"UF,URX", NULL},
	[FACTS_END_UPSTREAM_RESET] = {"UR", NULL},
	[FACTS_END_BLOCKED] = {"UH", NULL},
	[FACTS_END_NO_ENDPOINT] = {"UH", NULL},
	[FACTS_END_NO_CLUSTER] = {"NC", NULL},
	[FACTS_END_OVERFLOW] = {"UO", NULL},
	[FACTS_END_DURATION] = {"DT", NULL},
	[FACTS_END_CLEARTEXT] = {"UF,URX", "cleartext_refused"},
	[FACTS_END_MISMATCH] = {"UH", "address_mismatch"},
	[FACTS_END_REVOKED] = {"-", "no_longer_allowed"},
	[FACTS_END_DIRECT] = {"NR", "direct_dial"},
	[FACTS_END_LOOP] = {"NR", "loop"},
	[FACTS_END_MEMORY] = {"OM", "out_of_memory"},
	[FACTS_END_DRAIN] = {"-", "drain_time_over"},
};
static_assert(sizeof ends / sizeof *ends == FACTS_END_COUNT, "every end has its words");

const char *operator_end_flags(enum facts_end end)
{
	return ends[end].flags;
}

/* --- texts that are put together */

struct scratch {
	char *out;
	size_t used;
};

static void put(struct scratch *to, const char *text)
{
	size_t size = strnlen(text, OPERATOR_SCRATCH_SIZE - to->used);

	memcpy(to->out + to->used, text, size);
	to->used += size;
}

/* A column has no blanks. */
static void put_joined(struct scratch *to, const char *text)
{
	size_t from = to->used;

	put(to, text);
	for (size_t i = from; i < to->used; i++)
		if (to->out[i] == ' ')
			to->out[i] = '_';
}

static void put_note(struct scratch *to, const char *note)
{
	if (to->used > 0)
		put(to, ",");
	put(to, note);
}

void operator_details(struct operator_value *value, const struct facts_http *http, char scratch[OPERATOR_SCRATCH_SIZE])
{
	struct scratch to = {scratch, 0};

	put_joined(&to, http->details);
	if (http->reason != NULL) {
		put(&to, "{");
		put_joined(&to, http->reason);
		if (http->failure != NULL) {
			put(&to, "|");
			put_joined(&to, http->failure);
		}
		put(&to, "}");
	}
	set_text(value, &(struct facts_text){to.out, to.used});
}

static void set_failure(struct operator_value *value, const char *prefix, const char *failure, char *scratch)
{
	struct scratch to = {scratch, 0};

	put(&to, prefix);
	put_joined(&to, failure);
	set_text(value, &(struct facts_text){to.out, to.used});
}

/* Envoy has no reason for the connecting that took too long. */
void operator_failure(struct operator_value *value, const struct facts *facts, char scratch[OPERATOR_SCRATCH_SIZE])
{
	const char *told = facts->names != NULL ? facts->names->failure : NULL;

	if (facts->http != NULL)
		told = facts->http->failure;
	else if (facts->end != FACTS_END_CONNECT_FAILED)
		return;
	if (told != NULL)
		set_failure(value, "", told, scratch);
	else if (facts->http == NULL)
		set_failure(value, "delayed_connect_error:_", strerror(facts->error), scratch);
}

void operator_termination(struct operator_value *value, const struct facts *facts, char scratch[OPERATOR_SCRATCH_SIZE])
{
	const char *details = facts->http == NULL ? ends[facts->end].details : NULL;
	struct scratch to = {scratch, 0};

	if (details != NULL)
		put_note(&to, details);
	if (facts->has_ech)
		put_note(&to, "ech");
	if (facts->is_mismatch)
		put_note(&to, "address_mismatch");
	if (facts->would_block)
		put_note(&to, "would_block");
	if (to.used > 0)
		set_plain(value, to.out, to.used);
}

/* --- flags */

static const char *in_full(const char *flag, size_t size)
{
	static const struct flag {
		const char *name;
		const char *full;
	} flags[] = {
		{"LH", "FailedLocalHealthCheck"},
		{"UH", "NoHealthyUpstream"},
		{"UT", "UpstreamRequestTimeout"},
		{"LR", "LocalReset"},
		{"UR", "UpstreamRemoteReset"},
		{"UF", "UpstreamConnectionFailure"},
		{"UC", "UpstreamConnectionTermination"},
		{"UO", "UpstreamOverflow"},
		{"NR", "NoRouteFound"},
		{"DI", "DelayInjected"},
		{"FI", "FaultInjected"},
		{"DC", "DownstreamConnectionTermination"},
		{"URX", "UpstreamRetryLimitExceeded"},
		{"SI", "StreamIdleTimeout"},
		{"IH", "InvalidEnvoyRequestHeaders"},
		{"DPE", "DownstreamProtocolError"},
		{"UMSDR", "UpstreamMaxStreamDurationReached"},
		{"DT", "DurationTimeout"},
		{"UPE", "UpstreamProtocolError"},
		{"NC", "NoClusterFound"},
		{"OM", "OverloadManagerTerminated"},
		{"DF", "DnsResolutionFailed"},
	};

	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
		if (strlen(flags[i].name) == size && memcmp(flags[i].name, flag, size) == 0)
			return flags[i].full;
	return NULL;
}

static void set_several_flags(struct operator_value *value, const struct facts_http *http, char *scratch)
{
	struct scratch to = {scratch, 0};

	for (unsigned i = 0; i < http->flag_count; i++)
		put_note(&to, http->flags[i]);
	set_plain(value, to.out, to.used);
}

void operator_flags(struct operator_value *value, const struct facts *facts, char scratch[OPERATOR_SCRATCH_SIZE])
{
	const struct facts_http *http = facts->http;
	const char *one = "-";

	if (http == NULL)
		one = ends[facts->end].flags;
	else if (http->flag_count == 1)
		one = http->flags[0];
	if (http != NULL && http->flag_count > 1)
		set_several_flags(value, http, scratch);
	else
		set_plain(value, one, strlen(one));
}

void operator_flags_long(struct operator_value *value, const struct facts *facts, char scratch[OPERATOR_SCRATCH_SIZE])
{
	char several[OPERATOR_SCRATCH_SIZE];
	struct scratch to = {scratch, 0};

	operator_flags(value, facts, several);
	for (size_t at = 0, size; at < value->size; at += size + 1) {
		const char *comma = memchr(value->data + at, ',', value->size - at);
		const char *full;

		size = comma != NULL ? (size_t)(comma - value->data) - at : value->size - at;
		full = in_full(value->data + at, size);
		put_note(&to, full != NULL ? full : "-");
	}
	set_plain(value, to.out, to.used);
}
