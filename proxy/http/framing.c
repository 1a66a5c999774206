/* SPDX-License-Identifier: Apache-2.0 */
/*
 * There is one Content-Length with one number, or one Transfer-Encoding that is chunked, or neither: everything else is
 * refused, also where the standards let a reader choose, since the next reader may choose otherwise.
 */
#include "proxy/http/framing.h"

static enum http_problem read_length(const struct http_head *head, struct http_framing *framing)
{
	const struct http_field *field = http_head_find(head, HTTP_NAME_CONTENT_LENGTH);

	if (field == NULL)
		return HTTP_FINE;
	if (!http_text_number(field->value, &framing->length) || http_head_count(head, HTTP_NAME_CONTENT_LENGTH) > 1)
		return HTTP_BAD_SYNTAX;
	framing->has_length = true;
	framing->body = framing->length > 0 ? HTTP_BODY_LENGTH : HTTP_BODY_NONE;
	return HTTP_FINE;
}

static enum http_problem read_encoding(const struct http_head *head, struct http_framing *framing)
{
	const struct http_field *field = http_head_find(head, HTTP_NAME_TRANSFER_ENCODING);

	if (field == NULL)
		return HTTP_FINE;
	if (!http_text_same(field->value, HTTP_TEXT("chunked")) || http_head_count(head, HTTP_NAME_TRANSFER_ENCODING) > 1)
		return HTTP_BAD_ENCODING;
	if (framing->has_length)
		return HTTP_TWO_LENGTHS;
	/* A reader of 1.0 does not know of it. */
	if (head->minor == 0)
		return HTTP_BAD_SYNTAX;
	framing->body = HTTP_BODY_CHUNKED;
	return HTTP_FINE;
}

static enum http_problem read(const struct http_head *head, struct http_framing *framing)
{
	enum http_problem problem;

	*framing = (struct http_framing){.body = HTTP_BODY_NONE};
	framing->keeps_alive = head->minor > 0 ? !http_head_lists(head, HTTP_NAME_CONNECTION, HTTP_TEXT("close"))
					       : http_head_lists(head, HTTP_NAME_CONNECTION, HTTP_TEXT("keep-alive")) &&
							 !http_head_lists(head, HTTP_NAME_CONNECTION, HTTP_TEXT("close"));
	problem = read_length(head, framing);
	return problem == HTTP_FINE ? read_encoding(head, framing) : problem;
}

enum http_problem http_framing_of_request(const struct http_head *head, struct http_framing *ret_framing)
{
	return read(head, ret_framing);
}

enum http_problem http_framing_of_response(const struct http_head *head, bool to_head, struct http_framing *ret_framing)
{
	bool bodiless = head->status < 200 || head->status == 204;

	if (read(head, ret_framing) != HTTP_FINE || (bodiless && ret_framing->body != HTTP_BODY_NONE))
		return HTTP_BAD_SYNTAX;
	if (to_head || bodiless || head->status == 304) {
		ret_framing->body = HTTP_BODY_NONE;
	} else if (ret_framing->body == HTTP_BODY_NONE && !ret_framing->has_length) {
		ret_framing->body = HTTP_BODY_UNTIL_CLOSE;
		ret_framing->keeps_alive = false;
	}
	return HTTP_FINE;
}
