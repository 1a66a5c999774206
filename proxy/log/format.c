/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/log/format.h"

#include "proxy/log/program.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of a format's text: far more than anybody can read a line of. */
#define TEXT_MAX (64u << 10)

/* Istio's, and its names in order. */
static const char *const defaults[] = {
	[FORMAT_TEXT] = "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" %RESPONSE_CODE% "
			"%RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "
			"\"%UPSTREAM_TRANSPORT_FAILURE_REASON%\" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% "
			"%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" "
			"\"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\" %UPSTREAM_CLUSTER_RAW% "
			"%UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% "
			"%REQUESTED_SERVER_NAME% %ROUTE_NAME%\n",
	[FORMAT_JSON] = "{\"authority\":\"%REQ(:AUTHORITY)%\","
			"\"bytes_received\":\"%BYTES_RECEIVED%\","
			"\"bytes_sent\":\"%BYTES_SENT%\","
			"\"connection_termination_details\":\"%CONNECTION_TERMINATION_DETAILS%\","
			"\"downstream_local_address\":\"%DOWNSTREAM_LOCAL_ADDRESS%\","
			"\"downstream_remote_address\":\"%DOWNSTREAM_REMOTE_ADDRESS%\","
			"\"duration\":\"%DURATION%\","
			"\"method\":\"%REQ(:METHOD)%\","
			"\"path\":\"%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%\","
			"\"protocol\":\"%PROTOCOL%\","
			"\"request_id\":\"%REQ(X-REQUEST-ID)%\","
			"\"requested_server_name\":\"%REQUESTED_SERVER_NAME%\","
			"\"response_code\":\"%RESPONSE_CODE%\","
			"\"response_code_details\":\"%RESPONSE_CODE_DETAILS%\","
			"\"response_flags\":\"%RESPONSE_FLAGS%\","
			"\"route_name\":\"%ROUTE_NAME%\","
			"\"start_time\":\"%START_TIME%\","
			"\"upstream_cluster\":\"%UPSTREAM_CLUSTER_RAW%\","
			"\"upstream_host\":\"%UPSTREAM_HOST%\","
			"\"upstream_local_address\":\"%UPSTREAM_LOCAL_ADDRESS%\","
			"\"upstream_service_time\":\"%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%\","
			"\"upstream_transport_failure_reason\":\"%UPSTREAM_TRANSPORT_FAILURE_REASON%\","
			"\"user_agent\":\"%REQ(USER-AGENT)%\","
			"\"x_forwarded_for\":\"%REQ(X-FORWARDED-FOR)%\"}",
};

static int read_text(struct program_reader *reader, struct error *e)
{
	int rc = 0;

	while (rc == 0 && reader->at < reader->end) {
		if (*reader->at == '%')
			rc = program_percent(reader, false, e);
		else
			program_put(reader, *reader->at++);
	}
	return rc;
}

static int read_format(struct format *format, const char *text, struct error *e)
{
	struct program_reader reader;
	size_t size = strlen(text);
	int rc;

	if (size > TEXT_MAX)
		return error_set(e, EINVAL, "it has %zu bytes; up to %u are valid", size, TEXT_MAX);
	format->text = strdup(text);
	if (format->text == NULL)
		return error_set(e, ENOMEM, "no memory for a format of the access log");
	program_begin(&reader, format, size);
	format->ends_line = size > 0 && text[size - 1] == '\n';
	rc = format->encoding == FORMAT_JSON ? program_json(&reader, e) : read_text(&reader, e);
	return rc == 0 ? program_end(&reader, e) : rc;
}

int format_new(enum format_encoding encoding, const char *text, struct format **ret_format, struct error *e)
{
	struct format *format = calloc(1, sizeof *format);
	int rc;

	if (format == NULL)
		return error_set(e, ENOMEM, "no memory for a format of the access log");
	format->references = 1;
	format->encoding = encoding;
	rc = read_format(format, text != NULL && *text != '\0' ? text : defaults[encoding], e);
	if (rc < 0) {
		format_unref(format);
		return error_wrap(e, rc, "accessLogFormat");
	}
	*ret_format = format;
	return 0;
}

bool format_asks_response(const struct format *format)
{
	return format->asks_response;
}

struct format *format_ref(struct format *format)
{
	(void)atomic_fetch_add_explicit(&format->references, 1, memory_order_relaxed);
	return format;
}

void format_unref(struct format *format)
{
	if (format == NULL || atomic_fetch_sub_explicit(&format->references, 1, memory_order_acq_rel) > 1)
		return;
	free(format->operations);
	free(format->text);
	free(format);
}
