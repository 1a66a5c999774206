/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looked up for every header of every message: a few of a name's bytes give a slot, in which there is one name or none.
 * After a change of the names, tests/unit/http_name_test.c says which slots they ask for.
 */
#include "proxy/http/name.h"

#include <assert.h>
#include <endian.h>
#include <stdint.h>

#define SLOT_BITS 9
/* Factors that give every name a slot of its own. */
#define FACTOR_START 0x467d4ba811ed5de9u
#define FACTOR_END 0xffa88fa9a0831531u
/* Makes letters lower case, and leaves digits and "-" alone. */
#define LOWER 0x2020202020202020u

#define TEXT(literal) {(literal), sizeof(literal) - 1}
#define JQ HTTP_NAME_JOIN_REQUEST
#define JS HTTP_NAME_JOIN_RESPONSE
#define DQ HTTP_NAME_DROP_REQUEST
#define DU HTTP_NAME_DROP_UNTRUSTED
#define DS HTTP_NAME_DROP_RESPONSE

static const struct {
	struct http_text text;
	unsigned flags;
} names[] = {
	[HTTP_NAME_ACCEPT] = {TEXT("accept"), JQ},
	[HTTP_NAME_ACCEPT_ENCODING] = {TEXT("accept-encoding"), JQ},
	[HTTP_NAME_ACCESS_CONTROL_ALLOW_CREDENTIALS] = {TEXT("access-control-allow-credentials"), JS},
	[HTTP_NAME_ACCESS_CONTROL_ALLOW_HEADERS] = {TEXT("access-control-allow-headers"), JS},
	[HTTP_NAME_ACCESS_CONTROL_ALLOW_METHODS] = {TEXT("access-control-allow-methods"), JS},
	[HTTP_NAME_ACCESS_CONTROL_ALLOW_ORIGIN] = {TEXT("access-control-allow-origin"), JS},
	[HTTP_NAME_ACCESS_CONTROL_ALLOW_PRIVATE_NETWORK] = {TEXT("access-control-allow-private-network"), JS},
	[HTTP_NAME_ACCESS_CONTROL_EXPOSE_HEADERS] = {TEXT("access-control-expose-headers"), JS},
	[HTTP_NAME_ACCESS_CONTROL_MAX_AGE] = {TEXT("access-control-max-age"), JS},
	[HTTP_NAME_ACCESS_CONTROL_REQUEST_HEADERS] = {TEXT("access-control-request-headers"), JQ},
	[HTTP_NAME_ACCESS_CONTROL_REQUEST_METHOD] = {TEXT("access-control-request-method"), JQ},
	[HTTP_NAME_ACCESS_CONTROL_REQUEST_PRIVATE_NETWORK] = {TEXT("access-control-request-private-network"), JQ},
	[HTTP_NAME_AGE] = {TEXT("age"), JS},
	[HTTP_NAME_AUTHORIZATION] = {TEXT("authorization"), JQ},
	[HTTP_NAME_CACHE_CONTROL] = {TEXT("cache-control"), JQ | JS},
	[HTTP_NAME_CDN_LOOP] = {TEXT("cdn-loop"), JQ},
	[HTTP_NAME_CONNECTION] = {TEXT("connection"), DQ | DS},
	[HTTP_NAME_CONTENT_ENCODING] = {TEXT("content-encoding"), JQ | JS},
	[HTTP_NAME_CONTENT_LENGTH] = {TEXT("content-length"), 0},
	[HTTP_NAME_CONTENT_TYPE] = {TEXT("content-type"), JQ | JS},
	[HTTP_NAME_DATE] = {TEXT("date"), JS},
	[HTTP_NAME_ETAG] = {TEXT("etag"), JS},
	[HTTP_NAME_EXPECT] = {TEXT("expect"), JQ},
	[HTTP_NAME_EXPIRES] = {TEXT("expires"), JS},
	[HTTP_NAME_GRPC_ACCEPT_ENCODING] = {TEXT("grpc-accept-encoding"), JQ},
	[HTTP_NAME_GRPC_MESSAGE] = {TEXT("grpc-message"), JS},
	[HTTP_NAME_GRPC_STATUS] = {TEXT("grpc-status"), JS},
	[HTTP_NAME_GRPC_TIMEOUT] = {TEXT("grpc-timeout"), JQ},
	[HTTP_NAME_HOST] = {TEXT("host"), DQ},
	[HTTP_NAME_HTTP2_SETTINGS] = {TEXT("http2-settings"), DQ},
	[HTTP_NAME_IF_MATCH] = {TEXT("if-match"), JQ},
	[HTTP_NAME_IF_MODIFIED_SINCE] = {TEXT("if-modified-since"), JQ},
	[HTTP_NAME_IF_NONE_MATCH] = {TEXT("if-none-match"), JQ},
	[HTTP_NAME_IF_RANGE] = {TEXT("if-range"), JQ},
	[HTTP_NAME_IF_UNMODIFIED_SINCE] = {TEXT("if-unmodified-since"), JQ},
	[HTTP_NAME_KEEP_ALIVE] = {TEXT("keep-alive"), DQ | DS},
	[HTTP_NAME_LAST_MODIFIED] = {TEXT("last-modified"), JS},
	[HTTP_NAME_LOCATION] = {TEXT("location"), JS},
	[HTTP_NAME_ORIGIN] = {TEXT("origin"), JQ},
	[HTTP_NAME_PRAGMA] = {TEXT("pragma"), JQ},
	[HTTP_NAME_PROXY_CONNECTION] = {TEXT("proxy-connection"), DQ | DS},
	[HTTP_NAME_PROXY_STATUS] = {TEXT("proxy-status"), JQ | JS},
	[HTTP_NAME_REFERER] = {TEXT("referer"), JQ},
	[HTTP_NAME_SERVER] = {TEXT("server"), 0},
	[HTTP_NAME_TE] = {TEXT("te"), DQ},
	[HTTP_NAME_TRANSFER_ENCODING] = {TEXT("transfer-encoding"), DQ | DS},
	[HTTP_NAME_UPGRADE] = {TEXT("upgrade"), DQ | DS},
	[HTTP_NAME_USER_AGENT] = {TEXT("user-agent"), JQ},
	[HTTP_NAME_VARY] = {TEXT("vary"), JS},
	[HTTP_NAME_VIA] = {TEXT("via"), JQ | JS},
	[HTTP_NAME_X_CLIENT_TRACE_ID] = {TEXT("x-client-trace-id"), JQ},
	[HTTP_NAME_X_ENVOY_ATTEMPT_COUNT] = {TEXT("x-envoy-attempt-count"), JS},
	[HTTP_NAME_X_ENVOY_DECORATOR_OPERATION] = {TEXT("x-envoy-decorator-operation"), DS},
	[HTTP_NAME_X_ENVOY_DEGRADED] = {TEXT("x-envoy-degraded"), JS},
	[HTTP_NAME_X_ENVOY_DOWNSTREAM_SERVICE_CLUSTER] = {TEXT("x-envoy-downstream-service-cluster"), JQ},
	[HTTP_NAME_X_ENVOY_DOWNSTREAM_SERVICE_NODE] = {TEXT("x-envoy-downstream-service-node"), JQ},
	[HTTP_NAME_X_ENVOY_EXPECTED_RQ_TIMEOUT_MS] = {TEXT("x-envoy-expected-rq-timeout-ms"), DU},
	[HTTP_NAME_X_ENVOY_EXTERNAL_ADDRESS] = {TEXT("x-envoy-external-address"), JQ},
	[HTTP_NAME_X_ENVOY_FORCE_TRACE] = {TEXT("x-envoy-force-trace"), DU},
	[HTTP_NAME_X_ENVOY_HEDGE_ON_PER_TRY_TIMEOUT] = {TEXT("x-envoy-hedge-on-per-try-timeout"), DQ},
	[HTTP_NAME_X_ENVOY_IMMEDIATE_HEALTH_CHECK_FAIL] = {TEXT("x-envoy-immediate-health-check-fail"), JS},
	[HTTP_NAME_X_ENVOY_INTERNAL] = {TEXT("x-envoy-internal"), DQ},
	[HTTP_NAME_X_ENVOY_IP_TAGS] = {TEXT("x-envoy-ip-tags"), DU},
	[HTTP_NAME_X_ENVOY_IS_TIMEOUT_RETRY] = {TEXT("x-envoy-is-timeout-retry"), JQ},
	[HTTP_NAME_X_ENVOY_MAX_RETRIES] = {TEXT("x-envoy-max-retries"), DQ},
	[HTTP_NAME_X_ENVOY_ORIGINAL_HOST] = {TEXT("x-envoy-original-host"), JQ},
	[HTTP_NAME_X_ENVOY_ORIGINAL_PATH] = {TEXT("x-envoy-original-path"), DQ},
	[HTTP_NAME_X_ENVOY_ORIGINAL_URL] = {TEXT("x-envoy-original-url"), DU},
	[HTTP_NAME_X_ENVOY_PEER_METADATA] = {TEXT("x-envoy-peer-metadata"), DQ | DS},
	[HTTP_NAME_X_ENVOY_PEER_METADATA_ID] = {TEXT("x-envoy-peer-metadata-id"), DQ | DS},
	[HTTP_NAME_X_ENVOY_RATELIMITED] = {TEXT("x-envoy-ratelimited"), JS},
	[HTTP_NAME_X_ENVOY_RETRIABLE_HEADER_NAMES] = {TEXT("x-envoy-retriable-header-names"), DQ},
	[HTTP_NAME_X_ENVOY_RETRIABLE_STATUS_CODES] = {TEXT("x-envoy-retriable-status-codes"), DQ},
	[HTTP_NAME_X_ENVOY_RETRY_GRPC_ON] = {TEXT("x-envoy-retry-grpc-on"), DQ},
	[HTTP_NAME_X_ENVOY_RETRY_ON] = {TEXT("x-envoy-retry-on"), DQ},
	[HTTP_NAME_X_ENVOY_UPSTREAM_ALT_STAT_NAME] = {TEXT("x-envoy-upstream-alt-stat-name"), DQ},
	[HTTP_NAME_X_ENVOY_UPSTREAM_CANARY] = {TEXT("x-envoy-upstream-canary"), JS},
	[HTTP_NAME_X_ENVOY_UPSTREAM_HEALTHCHECKED_CLUSTER] = {TEXT("x-envoy-upstream-healthchecked-cluster"), JS},
	[HTTP_NAME_X_ENVOY_UPSTREAM_RQ_PER_TRY_TIMEOUT_MS] = {TEXT("x-envoy-upstream-rq-per-try-timeout-ms"), DQ},
	[HTTP_NAME_X_ENVOY_UPSTREAM_RQ_TIMEOUT_ALT_RESPONSE] = {TEXT("x-envoy-upstream-rq-timeout-alt-response"), DQ},
	[HTTP_NAME_X_ENVOY_UPSTREAM_RQ_TIMEOUT_MS] = {TEXT("x-envoy-upstream-rq-timeout-ms"), DQ},
	[HTTP_NAME_X_ENVOY_UPSTREAM_SERVICE_TIME] = {TEXT("x-envoy-upstream-service-time"), 0},
	[HTTP_NAME_X_FORWARDED_CLIENT_CERT] = {TEXT("x-forwarded-client-cert"), DQ},
	[HTTP_NAME_X_FORWARDED_FOR] = {TEXT("x-forwarded-for"), JQ},
	[HTTP_NAME_X_FORWARDED_HOST] = {TEXT("x-forwarded-host"), JQ},
	[HTTP_NAME_X_FORWARDED_PORT] = {TEXT("x-forwarded-port"), JQ},
	[HTTP_NAME_X_FORWARDED_PROTO] = {TEXT("x-forwarded-proto"), JQ},
	[HTTP_NAME_X_REQUEST_ID] = {TEXT("x-request-id"), JQ | JS},
};
static_assert(sizeof names / sizeof *names == HTTP_NAME_COUNT, "every name has its text");
static_assert(HTTP_NAME_COUNT <= UINT8_MAX, "a slot holds a name");

static const uint8_t slots[1 << SLOT_BITS] = {
	/* clang-format off */
	1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 45, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 59, 0, 0, 0, 56, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 69, 0, 0, 0, 67, 0, 0, 21, 0, 0, 0, 0, 0, 0, 0, 0,
	47, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 22, 0, 0, 0, 0, 0, 41, 0, 43, 0, 42,
	0, 0, 18, 0, 0, 0, 0, 0, 0, 0, 0, 0, 83, 0, 0, 0, 0, 76, 0, 0, 0, 0, 0, 0, 71, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 16, 0, 0, 0, 62, 0, 58, 0, 13, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 37, 0,
	0, 0, 0, 0, 0, 0, 25, 0, 0, 0, 0, 0, 15, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0,
	0, 80, 0, 5, 0, 0, 0, 0, 0, 0, 0, 86, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 53, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 38, 0, 0, 0, 0, 0, 0, 0, 0, 0, 54, 0, 66, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 44, 0, 0, 0, 0, 60, 17, 0, 0, 0, 39, 0, 0, 0, 46, 40, 0, 0, 0, 0, 73, 0, 0,
	0, 0, 0, 0, 0, 85, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 48, 0, 0, 0, 0,
	0, 24, 0, 14, 0, 0, 23, 0, 0, 0, 27, 84, 34, 0, 0, 0, 0, 0, 0, 61, 0, 0, 50, 0, 0, 0, 0, 28, 0, 0, 0, 0,
	0, 0, 36, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0, 64, 7, 0, 0, 12, 30, 65, 0, 11, 0, 0, 0, 0, 0, 52,
	0, 0, 0, 0, 0, 31, 0, 0, 0, 0, 49, 0, 0, 82, 0, 55, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 81, 87, 0, 0,
	51, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 75, 57, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0,
	2, 33, 0, 0, 0, 68, 0, 26, 70, 0, 0, 0, 19, 0, 0, 0, 0, 29, 0, 74, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 35, 0,
	88, 0, 0, 0, 0, 0, 0, 0, 72, 0, 0, 79, 0, 0, 0, 0, 78, 0, 0, 0, 0, 77, 0, 0, 63, 0, 0, 0, 0, 0, 0, 0,
	/* clang-format on */
};

static uint64_t load64(const char *data)
{
	uint64_t word;

	memcpy(&word, data, sizeof word);
	return le64toh(word);
}

static uint64_t load32(const char *data)
{
	uint32_t word;

	memcpy(&word, data, sizeof word);
	return le32toh(word);
}

unsigned http_name_slot(struct http_text name)
{
	uint64_t start = 0;
	uint64_t middle = 0;
	uint64_t end = 0;

	if (name.size >= 8) {
		start = load64(name.data);
		middle = load64(name.data + (name.size - 8) / 2);
		end = load64(name.data + name.size - 8);
	} else if (name.size >= 4) {
		start = load32(name.data) | load32(name.data + name.size - 4) << 32;
	} else if (name.size > 0) {
		start = (uint64_t)(uint8_t)name.data[0] | (uint64_t)(uint8_t)name.data[name.size / 2] << 8 |
			(uint64_t)(uint8_t)name.data[name.size - 1] << 16;
	}
	start = (start | LOWER) + ((middle | LOWER) << 1);
	end = (end | LOWER) + name.size;
	return (unsigned)((start * FACTOR_START ^ end * FACTOR_END) >> (64 - SLOT_BITS));
}

enum http_name http_name_find(struct http_text name)
{
	enum http_name found = slots[http_name_slot(name)];

	return found != HTTP_NAME_OTHER && http_text_same(names[found].text, name) ? found : HTTP_NAME_OTHER;
}

struct http_text http_name_text(enum http_name name)
{
	return names[name].text;
}

unsigned http_name_flags(enum http_name name)
{
	return names[name].flags;
}
