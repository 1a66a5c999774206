/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/reply.h"

/* A JSON string. Bytes over 0x7e are not passed on: nobody has checked that they are UTF-8. */
static void write_string(FILE *out, const char *text)
{
	(void)fputc('"', out);
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			(void)fprintf(out, "\\%c", c);
		else if (c == '\n')
			(void)fputs("\\n", out);
		else if (c < 0x20 || c > 0x7e)
			(void)fprintf(out, "\\u%04x", c);
		else
			(void)fputc(c, out);
	}
	(void)fputc('"', out);
}

void reply_write_error(FILE *out, const char *version, const struct reply *reply)
{
	(void)fputs("{\"cniVersion\":", out);
	write_string(out, version);
	(void)fprintf(out, ",\"code\":%d,\"msg\":", (int)reply->code);
	write_string(out, reply->error.text);
	if (reply->details[0] != '\0') {
		(void)fputs(",\"details\":", out);
		write_string(out, reply->details);
	}
	(void)fputs("}\n", out);
}

void reply_write_versions(FILE *out, const char *version)
{
	(void)fputs("{\"cniVersion\":", out);
	write_string(out, version);
	(void)fputs(",\"supportedVersions\":[\"0.3.0\",\"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\"]}\n", out);
}
