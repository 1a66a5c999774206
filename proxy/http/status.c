/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http/status.h"

#define STATUS_FIRST 100
#define STATUS_LAST 511

#define TEXT(literal) {(literal), sizeof(literal) - 1}

static const struct http_text reasons[STATUS_LAST - STATUS_FIRST + 1] = {
	[100 - STATUS_FIRST] = TEXT("Continue"),
	[101 - STATUS_FIRST] = TEXT("Switching Protocols"),
	[200 - STATUS_FIRST] = TEXT("OK"),
	[201 - STATUS_FIRST] = TEXT("Created"),
	[202 - STATUS_FIRST] = TEXT("Accepted"),
	[203 - STATUS_FIRST] = TEXT("Non-Authoritative Information"),
	[204 - STATUS_FIRST] = TEXT("No Content"),
	[205 - STATUS_FIRST] = TEXT("Reset Content"),
	[206 - STATUS_FIRST] = TEXT("Partial Content"),
	[207 - STATUS_FIRST] = TEXT("Multi-Status"),
	[208 - STATUS_FIRST] = TEXT("Already Reported"),
	[226 - STATUS_FIRST] = TEXT("IM Used"),
	[300 - STATUS_FIRST] = TEXT("Multiple Choices"),
	[301 - STATUS_FIRST] = TEXT("Moved Permanently"),
	[302 - STATUS_FIRST] = TEXT("Found"),
	[303 - STATUS_FIRST] = TEXT("See Other"),
	[304 - STATUS_FIRST] = TEXT("Not Modified"),
	[305 - STATUS_FIRST] = TEXT("Use Proxy"),
	[307 - STATUS_FIRST] = TEXT("Temporary Redirect"),
	[308 - STATUS_FIRST] = TEXT("Permanent Redirect"),
	[400 - STATUS_FIRST] = TEXT("Bad Request"),
	[401 - STATUS_FIRST] = TEXT("Unauthorized"),
	[402 - STATUS_FIRST] = TEXT("Payment Required"),
	[403 - STATUS_FIRST] = TEXT("Forbidden"),
	[404 - STATUS_FIRST] = TEXT("Not Found"),
	[405 - STATUS_FIRST] = TEXT("Method Not Allowed"),
	[406 - STATUS_FIRST] = TEXT("Not Acceptable"),
	[407 - STATUS_FIRST] = TEXT("Proxy Authentication Required"),
	[408 - STATUS_FIRST] = TEXT("Request Timeout"),
	[409 - STATUS_FIRST] = TEXT("Conflict"),
	[410 - STATUS_FIRST] = TEXT("Gone"),
	[411 - STATUS_FIRST] = TEXT("Length Required"),
	[412 - STATUS_FIRST] = TEXT("Precondition Failed"),
	[413 - STATUS_FIRST] = TEXT("Payload Too Large"),
	[414 - STATUS_FIRST] = TEXT("URI Too Long"),
	[415 - STATUS_FIRST] = TEXT("Unsupported Media Type"),
	[416 - STATUS_FIRST] = TEXT("Range Not Satisfiable"),
	[417 - STATUS_FIRST] = TEXT("Expectation Failed"),
	[421 - STATUS_FIRST] = TEXT("Misdirected Request"),
	[422 - STATUS_FIRST] = TEXT("Unprocessable Entity"),
	[423 - STATUS_FIRST] = TEXT("Locked"),
	[424 - STATUS_FIRST] = TEXT("Failed Dependency"),
	[426 - STATUS_FIRST] = TEXT("Upgrade Required"),
	[428 - STATUS_FIRST] = TEXT("Precondition Required"),
	[429 - STATUS_FIRST] = TEXT("Too Many Requests"),
	[431 - STATUS_FIRST] = TEXT("Request Header Fields Too Large"),
	[500 - STATUS_FIRST] = TEXT("Internal Server Error"),
	[501 - STATUS_FIRST] = TEXT("Not Implemented"),
	[502 - STATUS_FIRST] = TEXT("Bad Gateway"),
	[503 - STATUS_FIRST] = TEXT("Service Unavailable"),
	[504 - STATUS_FIRST] = TEXT("Gateway Timeout"),
	[505 - STATUS_FIRST] = TEXT("HTTP Version Not Supported"),
	[506 - STATUS_FIRST] = TEXT("Variant Also Negotiates"),
	[507 - STATUS_FIRST] = TEXT("Insufficient Storage"),
	[508 - STATUS_FIRST] = TEXT("Loop Detected"),
	[510 - STATUS_FIRST] = TEXT("Not Extended"),
	[511 - STATUS_FIRST] = TEXT("Network Authentication Required"),
};

struct http_text http_status_reason(unsigned status)
{
	if (status < STATUS_FIRST || status > STATUS_LAST || reasons[status - STATUS_FIRST].data == NULL)
		return HTTP_TEXT("Unknown");
	return reasons[status - STATUS_FIRST];
}

unsigned http_status_grpc(unsigned status)
{
	switch (status) {
	case 400:
		return 13;
	case 401:
		return 16;
	case 403:
		return 7;
	case 404:
		return 12;
	case 429:
	case 502:
	case 503:
	case 504:
		return 14;
	default:
		return 2;
	}
}
