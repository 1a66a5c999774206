/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/log/operator.h"

#include "redirect/base/decimal.h"
#include "redirect/base/time.h"

#include <assert.h>
#include <string.h>

/* RESPONSE_FLAGS and CONNECTION_TERMINATION_DETAILS of each end. The words are ours where Istio has none. */
static const struct end {
	const char *flags;
	const char *details;
} ends[] = {
	[FACTS_END_PLAIN] = {"-", "-"},
	[FACTS_END_CONNECT_FAILED] = {"UF,URX", "-"},
	[FACTS_END_CONNECT_TIMEOUT] = {"UF,URX", "-"},
	[FACTS_END_UPSTREAM_RESET] = {"UR", "-"},
	[FACTS_END_BLOCKED] = {"UH", "-"},
	[FACTS_END_NO_ENDPOINT] = {"UH", "-"},
	[FACTS_END_NO_CLUSTER] = {"NC", "-"},
	[FACTS_END_OVERFLOW] = {"UO", "-"},
	[FACTS_END_DURATION] = {"DT", "-"},
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

/* --- kinds of values */

static const struct operator_value absent = {.type = OPERATOR_ABSENT};

static struct operator_value number(uint64_t n)
{
	return (struct operator_value){.type = OPERATOR_NUMBER, .number = n};
}

static struct operator_value plain(const char *data, size_t size)
{
	return (struct operator_value){.type = OPERATOR_PLAIN, .text = {data, size}};
}

static struct operator_value plain_text(const char *text)
{
	return plain(text, strlen(text));
}

static struct operator_value text(struct facts_text text)
{
	return text.data != NULL ? (struct operator_value){.type = OPERATOR_TEXT, .text = text} : absent;
}

static struct operator_value string(const char *s)
{
	return s != NULL ? text((struct facts_text){s, strlen(s)}) : absent;
}

/* --- values that are put together */

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

static struct operator_value response_code_details(const struct facts_http *http, struct scratch to)
{
	if (http == NULL || http->details == NULL)
		return absent;
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
	return text((struct facts_text){to.out, to.used});
}

/* Envoy has no reason for the connecting that took too long. */
static struct operator_value transport_failure(const struct facts *facts, struct scratch to)
{
	if (facts->http != NULL) {
		if (facts->http->failure == NULL)
			return absent;
		put_joined(&to, facts->http->failure);
	} else if (facts->end != FACTS_END_CONNECT_FAILED) {
		return absent;
	} else if (facts->names != NULL && facts->names->failure != NULL) {
		put_joined(&to, facts->names->failure);
	} else {
		put(&to, "delayed_connect_error:_");
		put_joined(&to, strerror(facts->error));
	}
	return text((struct facts_text){to.out, to.used});
}

/* And what else there is to say where Istio has no column for it. */
static struct operator_value termination_details(const struct facts *facts, struct scratch to)
{
	const char *details = ends[facts->end].details;

	if (facts->http == NULL && *details != '-')
		put_note(&to, details);
	if (facts->has_ech)
		put_note(&to, "ech");
	if (facts->is_mismatch)
		put_note(&to, "address_mismatch");
	if (facts->would_block)
		put_note(&to, "would_block");
	return to.used > 0 ? plain(to.out, to.used) : absent;
}

static const char *as_it_is(const char *flag)
{
	return flag;
}

static const char *in_full(const char *flag)
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
		if (strcmp(flags[i].name, flag) == 0)
			return flags[i].full;
	return flag;
}

static void put_end_flags(struct scratch *to, const char *flags, const char *(*spell)(const char *flag))
{
	while (*flags != '\0') {
		char flag[8];
		size_t size = strcspn(flags, ",");

		assert(size < sizeof flag);
		memcpy(flag, flags, size);
		flag[size] = '\0';
		put_note(to, spell(flag));
		flags += size + (flags[size] == ',');
	}
}

static struct operator_value response_flags(const struct facts *facts, struct scratch to,
	const char *(*spell)(const char *flag))
{
	const struct facts_http *http = facts->http;

	if (http == NULL && spell == as_it_is)
		return plain_text(ends[facts->end].flags);
	if (http == NULL)
		put_end_flags(&to, ends[facts->end].flags, spell);
	else if (http->flag_count == 1)
		return plain_text(spell(http->flags[0]));
	else
		for (unsigned i = 0; i < http->flag_count; i++)
			put_note(&to, spell(http->flags[i]));
	return to.used > 0 ? plain(to.out, to.used) : plain("-", 1);
}

static struct operator_value protocol(const struct facts *facts)
{
	if (facts->http != NULL)
		return plain(facts->http->minor == 0 ? "HTTP/1.0" : "HTTP/1.1", 8);
	if (facts->protocol == FACTS_HTTP2)
		return plain("HTTP/2", 6);
	return facts->names != NULL ? string(facts->names->version) : absent;
}

/* --- endpoints */

static const struct endpoint *endpoint_of(const struct facts *facts, enum operator_endpoint which)
{
	switch (which) {
	case OPERATOR_UPSTREAM:
		return facts->has_upstream ? &facts->upstream : NULL;
	case OPERATOR_UPSTREAM_LOCAL:
		return facts->has_upstream_local ? &facts->upstream_local : NULL;
	case OPERATOR_DOWNSTREAM_LOCAL:
		return &facts->destination;
	case OPERATOR_DOWNSTREAM_REMOTE:
		return &facts->source;
	}
	return NULL;
}

static struct operator_value endpoint_value(const struct endpoint *endpoint, enum operator_code code, char *scratch)
{
	if (endpoint == NULL)
		return absent;
	if (code == OPERATOR_PORT)
		return number(endpoint->port);
	return plain_text(code == OPERATOR_ENDPOINT ? endpoint_format(scratch, endpoint)
						    : address_format(scratch, &endpoint->address));
}

/* --- headers */

static struct operator_value service_time(const struct facts_http *http, char *scratch)
{
	if (http == NULL || !http->has_service_time)
		return absent;
	return plain(scratch, (size_t)(decimal_write(scratch, http->service_time, 1) - scratch));
}

static struct operator_value status(const struct facts_http *http, char *scratch)
{
	if (http == NULL || http->status == 0)
		return absent;
	return plain(scratch, (size_t)(decimal_write(scratch, http->status, 1) - scratch));
}

/* What a connection's first bytes told, where no request has facts of its own. */
static struct operator_value sniffed(const struct facts_names *names, enum operator_header header)
{
	if (names == NULL)
		return absent;
	if (header == OPERATOR_METHOD)
		return string(names->method);
	if (header == OPERATOR_PATH)
		return string(names->path);
	return header == OPERATOR_AUTHORITY ? string(names->host) : absent;
}

static struct operator_value other_header(const struct facts_http *http, bool of_response, struct facts_text name)
{
	return http->header != NULL ? text(http->header(http->context, of_response, name)) : absent;
}

static struct operator_value header(const struct operation *operation, size_t i, const struct facts *facts, char *scratch)
{
	enum operator_header which = operation->headers[i];
	const struct facts_http *http = facts->http;

	if (http == NULL)
		return sniffed(facts->names, which);
	switch (which) {
	case OPERATOR_NO_HEADER:
		break;
	case OPERATOR_OTHER_HEADER:
		return other_header(http, operation->code == OPERATOR_RESPONSE_HEADER, operation->arguments[i]);
	case OPERATOR_METHOD:
		return text(http->method);
	case OPERATOR_PATH:
		return text(http->sent_path.data != NULL ? http->sent_path : http->path);
	case OPERATOR_ORIGINAL_PATH:
		return http->sent_path.data != NULL ? text(http->path) : absent;
	case OPERATOR_AUTHORITY:
		return text(http->authority);
	case OPERATOR_SCHEME:
		return plain("http", 4);
	case OPERATOR_USER_AGENT:
		return text(http->user_agent);
	case OPERATOR_REQUEST_ID:
		return text(http->request_id);
	case OPERATOR_FORWARDED_FOR:
		return text(http->forwarded_for);
	case OPERATOR_STATUS:
		return status(http, scratch);
	case OPERATOR_SERVICE_TIME:
		return service_time(http, scratch);
	}
	return absent;
}

static struct operator_value first_header(const struct operation *operation, const struct facts *facts, char *scratch)
{
	struct operator_value value = header(operation, 0, facts, scratch);

	return value.type == OPERATOR_ABSENT ? header(operation, 1, facts, scratch) : value;
}

/* --- numbers that only a request has */

static struct operator_value request_number(const struct facts *facts, enum operator_code code)
{
	const struct facts_http *http = facts->http;

	if (http == NULL)
		return code == OPERATOR_RESPONSE_CODE || code == OPERATOR_ATTEMPT_COUNT ? number(0) : absent;
	if (code == OPERATOR_RESPONSE_CODE)
		return number(http->status);
	if (code == OPERATOR_ATTEMPT_COUNT)
		return number(http->attempts);
	if (code == OPERATOR_REQUEST_DURATION)
		return http->has_request_duration ? number(http->request_duration) : absent;
	if (!http->has_response_duration)
		return absent;
	if (code == OPERATOR_RESPONSE_DURATION)
		return number(http->response_duration);
	return number(facts->duration > (int64_t)http->response_duration ? (uint64_t)facts->duration - http->response_duration : 0);
}

static struct operator_value value(const struct operation *operation, const struct facts *facts, char *scratch)
{
	enum operator_code code = operation->code;

	switch (code) {
	case OPERATOR_START_TIME:
		return plain(time_format(scratch, facts->started), sizeof "2026-01-31T23:59:59.999Z" - 1);
	case OPERATOR_START_TIME_FORM:
		return (struct operator_value){.type = OPERATOR_PLAIN,
			.text = operator_time_write(scratch, operation->arguments[0], facts->started)};
	case OPERATOR_REQUEST_HEADER:
	case OPERATOR_RESPONSE_HEADER:
		return first_header(operation, facts, scratch);
	case OPERATOR_PROTOCOL:
		return protocol(facts);
	case OPERATOR_RESPONSE_CODE_DETAILS:
		return response_code_details(facts->http, (struct scratch){scratch, 0});
	case OPERATOR_RESPONSE_FLAGS:
		return response_flags(facts, (struct scratch){scratch, 0}, as_it_is);
	case OPERATOR_RESPONSE_FLAGS_LONG:
		return response_flags(facts, (struct scratch){scratch, 0}, in_full);
	case OPERATOR_TERMINATION_DETAILS:
		return termination_details(facts, (struct scratch){scratch, 0});
	case OPERATOR_TRANSPORT_FAILURE:
		return transport_failure(facts, (struct scratch){scratch, 0});
	case OPERATOR_BYTES_RECEIVED:
		return number(facts->received);
	case OPERATOR_BYTES_SENT:
		return number(facts->sent);
	case OPERATOR_DURATION:
		return number((uint64_t)facts->duration);
	case OPERATOR_RESPONSE_CODE:
	case OPERATOR_REQUEST_DURATION:
	case OPERATOR_RESPONSE_DURATION:
	case OPERATOR_RESPONSE_TX_DURATION:
	case OPERATOR_ATTEMPT_COUNT:
		return request_number(facts, code);
	case OPERATOR_ENDPOINT:
	case OPERATOR_ADDRESS:
	case OPERATOR_PORT:
		return endpoint_value(endpoint_of(facts, operation->endpoint), code, scratch);
	case OPERATOR_CLUSTER:
		return string(facts->cluster);
	case OPERATOR_SERVER_NAME:
		return string(facts->names != NULL ? facts->names->server_name : NULL);
	case OPERATOR_ROUTE_NAME:
		return string(facts->http != NULL ? facts->http->route : NULL);
	case OPERATOR_SERVICE_ENTRY:
		return facts->suggestion != NULL ? plain_text(facts->suggestion) : absent;
	case OPERATOR_ENVIRONMENT:
		return text(operation->arguments[0]);
	case OPERATOR_NONE:
	case OPERATOR_NEVER:
		break;
	}
	return absent;
}

struct operator_value operator_value(const struct operation *operation, const struct facts *facts,
	char scratch[OPERATOR_SCRATCH_SIZE])
{
	struct operator_value it = value(operation, facts, scratch);

	if (it.text.size > operation->limit)
		it.text.size = operation->limit;
	return it;
}
