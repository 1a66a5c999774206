/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http/failure.h"

#include <assert.h>
#include <stddef.h>

static const struct http_failure_answer answers[] = {
	[HTTP_FAILURE_NO_UPSTREAM] = {503, "UH", "no_healthy_upstream", NULL, "no healthy upstream"},
	[HTTP_FAILURE_CONNECT] = {503, "UF", NULL, "remote_connection_failure", "remote connection failure"},
	[HTTP_FAILURE_CONNECT_TIMEOUT] = {503, "UF", NULL, "connection_timeout", "connection timeout"},
	[HTTP_FAILURE_CLOSED] = {503, "UC", NULL, "connection_termination", "connection termination"},
	[HTTP_FAILURE_PROTOCOL] = {502, "UPE", NULL, "protocol_error", "protocol error"},
	[HTTP_FAILURE_OVERFLOW] = {503, "UO", NULL, "overflow", "overflow"},
	[HTTP_FAILURE_TIMEOUT] = {504, "UT", "response_timeout", NULL, "upstream request timeout"},
	[HTTP_FAILURE_TRY_TIMEOUT] = {504, "UT", "upstream_per_try_timeout", NULL, "upstream request timeout"},
};
static_assert(sizeof answers / sizeof *answers == HTTP_FAILURE_COUNT, "every failure has its answer");

const struct http_failure_answer *http_failure_answer(enum http_failure failure)
{
	assert(failure < HTTP_FAILURE_COUNT);
	return &answers[failure];
}
