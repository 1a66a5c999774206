/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/reply.h"

#include "redirect/base/json.h"

int reply_fail(struct reply *reply, enum reply_code code, int rc)
{
	reply->code = code;
	return rc;
}

void reply_write_error(FILE *out, const char *version, const struct reply *reply)
{
	(void)fputs("{\"cniVersion\":", out);
	json_write_string(out, version);
	(void)fprintf(out, ",\"code\":%d,\"msg\":", (int)reply->code);
	json_write_string(out, reply->error.text);
	if (reply->details[0] != '\0') {
		(void)fputs(",\"details\":", out);
		json_write_string(out, reply->details);
	}
	(void)fputs("}\n", out);
}

void reply_write_versions(FILE *out, const char *version)
{
	(void)fputs("{\"cniVersion\":", out);
	json_write_string(out, version);
	(void)fputs(",\"supportedVersions\":[\"0.3.0\",\"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\"]}\n", out);
}
