/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs one of iptables' programs.
 */
#ifndef WEIR_IPTABLES_TOOL_H
#define WEIR_IPTABLES_TOOL_H

#include "redirect/base/error.h"

#include <stddef.h>

/* Seconds that a program waits for iptables' lock, and after which it is ended whatever it waits for. */
#define TOOL_LOCK_SECONDS "5"
#define TOOL_SECONDS 30

/* Bytes that a program may print. */
#define TOOL_OUTPUT_MAX (256u << 20)

/*
 * Runs `argv` (found by PATH) with `input` (NULL: nothing) on stdin. Returns 0 when it exits with 0, its stdout in
 * `*ret_output`, NUL-terminated, which the caller frees (NULL: not wanted); -ENOENT where there is no such program;
 * -ETIMEDOUT; -EREMOTEIO, with what it said on stderr, when it fails; or -errno.
 */
int tool_run(const char *const argv[], const char *input, size_t input_size, char **ret_output, struct error *e);

#endif
