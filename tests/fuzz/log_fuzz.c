/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A format, and a line in it. The first byte says the encoding and what the facts are; the format ends at a NUL, and
 * what follows is what a client sent. Whatever both are, a format that is refused says why, a line has the same length
 * in a buffer that is too small, a JSON line is JSON, and in Istio's own text format the columns hold.
 */
#include "tests/fuzz/fuzz.h"

#include "proxy/log/access_log.h"

#include <json-c/json.h>
#include <stdbool.h>
#include <string.h>

#define LINE_SIZE (4u << 20)

static char line[LINE_SIZE];

/* Every header is what the client sent, but those whose name is too long. */
static struct facts_text header(const void *context, bool of_response, struct facts_text name)
{
	const struct facts_text *sent = context;

	(void)of_response;
	return name.size < 8 ? *sent : (struct facts_text){.data = NULL};
}

/* A strict json-c 0.18 refuses every byte above 0x7f, in the best of UTF-8 (json-c issue 892): letters stand for them. */
static void mask_high_bytes(size_t length)
{
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)line[i] > 0x7f)
			line[i] = 'x';
}

static void check_json(size_t length)
{
	struct json_tokener *tokener = json_tokener_new_ex(64);
	struct json_object *object;

	FUZZ_CHECK(tokener != NULL);
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
	FUZZ_CHECK(length >= 2 && line[length - 1] == '\n' && memchr(line, '\n', length - 1) == NULL);
	mask_high_bytes(length);
	object = json_tokener_parse_ex(tokener, line, (int)length - 1);
	FUZZ_CHECK(json_tokener_get_error(tokener) == json_tokener_success);
	FUZZ_CHECK(json_object_is_type(object, json_type_object));
	(void)json_object_put(object);
	json_tokener_free(tokener);
}

static void check_line(const struct format *format, const struct facts *facts, bool is_json, bool is_default)
{
	size_t length = access_log_format(format, line, sizeof line, facts);

	FUZZ_CHECK(length <= sizeof line);
	if (is_json)
		check_json(length);
	else if (is_default)
		fuzz_check_columns(line, length);
	FUZZ_CHECK(access_log_format(format, line, length / 2, facts) == length);
	FUZZ_CHECK(access_log_format(format, line, 0, facts) == length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size > 1 ? memchr(data + 1, '\0', size - 1) : NULL;
	bool is_json = end != NULL && (data[0] & 1) != 0;
	struct facts_text sent = {.data = NULL};
	struct facts_http http = {.flags = {"URX", "UF"}, .header = header, .context = &sent};
	struct facts facts = {.started = 1769862896789, .has_upstream = true, .cluster = FACTS_PASSTHROUGH};
	struct error e = {.text = ""};
	struct format *format;

	if (end == NULL)
		return 0;
	sent = (struct facts_text){(const char *)end + 1, size - (size_t)(end + 1 - data)};
	http.method = http.path = http.authority = http.user_agent = sent;
	http.flag_count = (data[0] >> 1 & 3) % 3;
	http.details = (data[0] & 8) != 0 ? "upstream reset" : NULL;
	http.reason = http.failure = (data[0] & 16) != 0 ? "remote connection failure" : NULL;
	facts.would_block = (data[0] & 32) != 0;
	/* In text, the entry is a second line. */
	facts.suggestion = is_json && facts.would_block ? "{\"kind\": \"ServiceEntry\"}" : NULL;
	if (format_new(is_json ? FORMAT_JSON : FORMAT_TEXT, (const char *)data + 1, &format, &e) < 0) {
		FUZZ_CHECK(strncmp(e.text, "accessLogFormat: ", 17) == 0 && e.text[17] != '\0');
		return 0;
	}
	check_line(format, &facts, is_json, data[1] == '\0');
	facts.http = &http;
	check_line(format, &facts, is_json, data[1] == '\0');
	format_unref(format);
	return 0;
}
