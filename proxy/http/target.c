/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http/target.h"

#include "proxy/http/class.h"

static bool starts_with(struct http_text text, struct http_text start)
{
	return text.size >= start.size && http_text_same((struct http_text){text.data, start.size}, start);
}

bool http_authority_is_valid(struct http_text authority)
{
	for (size_t i = 0; i < authority.size; i++)
		if (!http_class_has(&http_class_authority, authority.data[i]))
			return false;
	return true;
}

/* What is behind "scheme://". */
static enum http_problem read_absolute(struct http_text rest, struct http_target *target)
{
	const char *user;
	size_t size = 0;

	while (size < rest.size && memchr("/?#", rest.data[size], 3) == NULL)
		size++;
	target->path = (struct http_text){rest.data + size, rest.size - size};
	user = size > 0 ? memrchr(rest.data, '@', size) : NULL;
	if (user != NULL) {
		size -= (size_t)(user + 1 - rest.data);
		rest.data = user + 1;
	}
	target->authority = (struct http_text){rest.data, size};
	if (size == 0)
		return HTTP_BAD_URL;
	return http_authority_is_valid(target->authority) ? HTTP_FINE : HTTP_BAD_AUTHORITY;
}

enum http_problem http_target_read(struct http_text method, struct http_text target, struct http_target *ret_target)
{
	static const struct http_text schemes[] = {{"http://", 7}, {"https://", 8}};

	*ret_target = (struct http_target){.path = {NULL, 0}};
	if (http_text_equal(method, HTTP_TEXT("CONNECT"))) {
		ret_target->authority = target;
		return target.data[0] != '/' && http_authority_is_valid(target) ? HTTP_FINE : HTTP_BAD_URL;
	}
	ret_target->path = target;
	if (target.data[0] == '/')
		return HTTP_FINE;
	if (http_text_equal(target, HTTP_TEXT("*")))
		return http_text_equal(method, HTTP_TEXT("OPTIONS")) ? HTTP_FINE : HTTP_BAD_URL;
	for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
		if (starts_with(target, schemes[i]))
			return read_absolute((struct http_text){target.data + schemes[i].size, target.size - schemes[i].size},
				ret_target);
	return memmem(target.data, target.size, "://", 3) != NULL ? HTTP_BAD_SCHEME : HTTP_BAD_SYNTAX;
}
