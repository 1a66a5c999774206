/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http [REQUESTS] - what the HTTP code itself takes for a small request and its response, without sockets: the
 * microseconds, and the part of it that is llhttp's.
 */
#include "proxy/http/exchange.h"
#include "tests/bench/measure.h"

#include <stdio.h>
#include <string.h>

/* As wrk sends it, and nginx answers. */
static const char request[] = "GET /1k HTTP/1.1\r\nHost: httpbin.org\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n"
			      "Accept-Encoding: gzip\r\n\r\n";
static const char response_head[] = "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Tue, 24 Nov 2026 23:23:45 GMT\r\n"
				    "Content-Type: application/octet-stream\r\nContent-Length: 1024\r\n"
				    "Last-Modified: Tue, 24 Nov 2026 20:00:00 GMT\r\nConnection: keep-alive\r\n"
				    "ETag: \"6744e1a0-400\"\r\nAccept-Ranges: bytes\r\n\r\n";

static char response[sizeof response_head - 1 + 1024];
static struct http_io io;

static void serve(struct http_exchange *exchange, const struct http_forward *route)
{
	size_t taken;
	size_t all = 0;

	if (http_exchange_feed_client(exchange, &io, request, sizeof request - 1, &taken) != HTTP_EVENT_REQUEST)
		measure_die("the request is not one");
	(void)http_exchange_route(exchange, &io, route, true);
	(void)http_exchange_connected(exchange, &io);
	http_io_reset(&io);
	if (http_exchange_feed_upstream(exchange, &io, response, sizeof response, &all) != HTTP_EVENT_RESPONSE)
		measure_die("the response is not one");
	(void)http_exchange_respond(exchange, &io, 1);
	if (http_exchange_feed_upstream(exchange, &io, response + all, sizeof response - all, &taken) != HTTP_EVENT_END)
		measure_die("the response does not end");
	http_io_reset(&io);
	http_exchange_next(exchange);
}

static double time_codec(size_t count)
{
	static struct http_head head;
	static struct http_framing framing;
	static char scratch[1024];
	struct http_codec codec;
	double start = measure_now();

	(void)http_head_read_request(&head, request, sizeof request - 1);
	(void)http_framing_of_request(&head, &framing);
	for (size_t i = 0; i < count; i++)
		(void)http_codec_start(&codec, &head, &framing, request, (struct http_writer){scratch, 0, sizeof scratch, false});
	(void)http_head_read_response(&head, response, sizeof response);
	(void)http_framing_of_response(&head, false, &framing);
	for (size_t i = 0; i < count; i++)
		(void)http_codec_start(&codec, &head, &framing, response, (struct http_writer){scratch, 0, sizeof scratch, false});
	return (measure_now() - start) / (double)count;
}

int main(int argc, char *argv[])
{
	static const struct http_forward route = {.decorator = HTTP_TEXT("httpbin.org:80/*")};
	size_t count = argc > 1 ? measure_read_number(argv[1], 100000000) : 1000000;
	struct http_exchange exchange = {.now = NULL};
	double start;

	memcpy(response, response_head, sizeof response_head - 1);
	memset(response + sizeof response_head - 1, 'x', 1024);
	http_io_init(&io);
	http_date_write(io.date, 1795562625);
	for (size_t i = 0; i < count / 10; i++)
		serve(&exchange, &route);
	start = measure_now();
	for (size_t i = 0; i < count; i++)
		serve(&exchange, &route);
	(void)printf("http.request %.3f\n", (measure_now() - start) / (double)count);
	(void)printf("http.llhttp %.3f\n", time_codec(count));
	http_exchange_free(&exchange);
	return 0;
}
