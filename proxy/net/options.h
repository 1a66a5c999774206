/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The proxy's command line.
 */
#ifndef WEIR_PROXY_OPTIONS_H
#define WEIR_PROXY_OPTIONS_H

#include "redirect/base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Workers at most. */
#define OPTIONS_CONCURRENCY_MAX 64u

struct options {
	const char *access_log; /* a path; "/dev/stdout"; "" for none */
	uint32_t port;
	uint32_t ready_port;
	uint32_t concurrency;
	uint32_t drain_time; /* seconds */
	bool allow_root;
	bool run_as; /* become these, when started as root */
	uint32_t uid;
	uint32_t gid;
	bool help;
	bool version;
};

/* Reads the arguments, whose texts are borrowed. Returns 0 or -EINVAL. */
int options_read(int argc, char *const argv[], struct options *ret, struct error *e);

/* Writes every flag with what it does. */
void options_write_help(FILE *out);

#endif
