/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http/problem.h"

#include <assert.h>
#include <stddef.h>

static const struct http_problem_answer answers[] = {
	[HTTP_BAD_SYNTAX] = {400, true, true, "DPE", "http1.codec_error"},
	[HTTP_BAD_CHARACTER] = {400, true, true, "DPE", "http1.invalid_characters"},
	[HTTP_BAD_URL] = {400, true, true, "DPE", "http1.invalid_url"},
	[HTTP_BAD_SCHEME] = {400, true, true, "DPE", "http1.invalid_scheme"},
	[HTTP_BAD_AUTHORITY] = {400, true, true, "DPE", "http.invalid_authority"},
	[HTTP_BAD_CONNECTION] = {400, true, true, "DPE", "http1.connection_header_rejected"},
	[HTTP_BAD_ENCODING] = {501, true, true, "DPE", "http1.invalid_transfer_encoding"},
	[HTTP_TWO_LENGTHS] = {400, true, true, "DPE", "http1.content_length_and_chunked_not_allowed"},
	[HTTP_TOO_MANY_HEADERS] = {431, true, true, "DPE", "http1.too_many_headers"},
	[HTTP_TOO_LARGE] = {431, true, true, "DPE", "http1.headers_too_large"},
	[HTTP_NO_HOST] = {400, false, true, NULL, "missing_host_header"},
	[HTTP_BAD_PATH] = {400, false, true, NULL, "path_normalization_failed"},
	[HTTP_NO_PATH] = {404, false, false, NULL, "absolute_path_rejected"},
	[HTTP_TUNNEL] = {404, false, true, "NR", "route_not_found"},
	[HTTP_BAD_UPGRADE] = {403, false, true, NULL, "upgrade_failed"},
};
static_assert(sizeof answers / sizeof *answers == HTTP_PROBLEM_COUNT, "every problem has its answer");

const struct http_problem_answer *http_problem_answer(enum http_problem problem)
{
	assert(problem > HTTP_MORE && problem < HTTP_PROBLEM_COUNT);
	return &answers[problem];
}

bool http_problem_is_readable(enum http_problem problem)
{
	return problem == HTTP_FINE || problem >= HTTP_NO_HOST;
}
