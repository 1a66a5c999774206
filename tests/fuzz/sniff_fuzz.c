/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client's first bytes, up to the line in the log. The first byte says how they are cut into pieces; it makes no
 * difference, and whatever they are, the line's columns hold.
 */
#include "tests/fuzz/fuzz.h"

#include "proxy/log/access_log.h"
#include "proxy/net/sniff.h"

#include <string.h>

#define LINE_SIZE (512u << 10)

static struct format *text_format;
static char whole_line[LINE_SIZE];
static char cut_line[LINE_SIZE];

/* Feeds pieces of 1 to `most` bytes. Returns the length of the line. */
static size_t run(const uint8_t *data, size_t size, size_t most, char *line)
{
	struct facts facts = {.has_upstream = true, .end = FACTS_END_DRAIN};
	struct sniff sniff = {.done = false};
	size_t length;

	for (size_t done = 0; done < size;) {
		size_t piece = 1 + (done * 31 + most) % most;

		piece = piece < size - done ? piece : size - done;
		sniff_feed(&sniff, data + done, piece, &facts);
		done += piece;
	}
	sniff_end(&sniff, &facts);
	length = access_log_format(text_format, line, LINE_SIZE, &facts);
	FUZZ_CHECK(length <= LINE_SIZE);
	facts_free(&facts);
	return length;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t whole;

	if (size < 2)
		return 0;
	if (text_format == NULL)
		FUZZ_CHECK(format_new(FORMAT_TEXT, NULL, &text_format, NULL) == 0);
	whole = run(data + 1, size - 1, size, whole_line);
	fuzz_check_columns(whole_line, whole);
	FUZZ_CHECK(run(data + 1, size - 1, 1 + data[0], cut_line) == whole && memcmp(whole_line, cut_line, whole) == 0);
	return 0;
}
