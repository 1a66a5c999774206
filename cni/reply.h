/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the plugin prints on stdout: an error, or the versions that it speaks (CNI spec 1.1.0, section 5).
 */
#ifndef WEIR_CNI_REPLY_H
#define WEIR_CNI_REPLY_H

#include "redirect/base/error.h"

#include <stdio.h>

/* Error codes: those of the specification, and from 100 on weir's own. */
enum reply_code {
	REPLY_INCOMPATIBLE_VERSION = 1,
	REPLY_BAD_ENVIRONMENT = 4,
	REPLY_IO = 5,
	REPLY_UNDECODABLE = 6,
	REPLY_BAD_CONFIGURATION = 7,
	REPLY_BAD_NAMESPACE = 8,
	REPLY_NOT_AVAILABLE = 50, /* STATUS: ADD cannot work; running pods keep their rules, so it is never 51 */
	REPLY_BAD_ANNOTATION = 100,
	REPLY_NO_NF_TABLES = 101,
	REPLY_REFUSED = 102,
	REPLY_NO_ANNOTATIONS = 103,
	REPLY_DRIFT = 104,
};

/* Bytes of an error's details with their NUL. */
#define REPLY_DETAILS_SIZE 8192

/* An error on its way out. `code` 0 is none. */
struct reply {
	enum reply_code code;
	struct error error;
	char details[REPLY_DETAILS_SIZE];
};

/* The version that is answered where the runtime's is unknown or not understood. */
#define REPLY_NEWEST_VERSION "1.1.0"

/* Gives the error its code. Returns `rc`. */
int reply_fail(struct reply *reply, enum reply_code code, int rc);

/* Writes the error as JSON. */
void reply_write_error(FILE *out, const char *version, const struct reply *reply);

/* Writes the answer to VERSION. */
void reply_write_versions(FILE *out, const char *version);

#endif
