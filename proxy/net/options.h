/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The proxy's command line.
 */
#ifndef WEIR_PROXY_OPTIONS_H
#define WEIR_PROXY_OPTIONS_H

#include "proxy/log/warn.h"
#include "redirect/base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Workers at most. */
#define OPTIONS_CONCURRENCY_MAX 64u

struct options {
	const char *access_log; /* a path; "/dev/stdout"; "" for none; NULL: as the mesh settings say */
	uint32_t port;
	uint32_t ready_port;
	uint32_t metrics_port;
	const char *admin_socket; /* a path; "" for none */
	const char *mesh_config;  /* a path; NULL: none */
	const char *config_dir;   /* the same */
	const char *resolv_conf;
	const char *namespace_;
	const char *pod_labels; /* a path; NULL: none */
	enum warn_level log_level;
	uint32_t concurrency;
	int64_t drain_time; /* milliseconds; with drain_to_zero the least, else the most that a drain takes */
	bool drain_to_zero; /* EXIT_ON_ZERO_ACTIVE_CONNECTIONS */
	bool allow_root;
	bool run_as; /* become these, when started as root */
	uint32_t uid;
	uint32_t gid;
	bool help;
	bool version;
};

/*
 * Reads the arguments, whose texts are borrowed, and the two variables that Istio's proxy has for its end:
 * EXIT_ON_ZERO_ACTIVE_CONNECTIONS and MINIMUM_DRAIN_DURATION. Returns 0 or -EINVAL.
 */
int options_read(int argc, char *const argv[], struct options *ret, struct error *e);

/* Writes every flag and variable with what it does. */
void options_write_help(FILE *out);

#endif
