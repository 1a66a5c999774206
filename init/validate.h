/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A self-test of rules that are in force: connections are opened, and must arrive where the rules say.
 */
#ifndef WEIR_INIT_VALIDATE_H
#define WEIR_INIT_VALIDATE_H

#include "redirect/plan/ruleset.h"

#include <stdint.h>

/* What validation has to say, as printf(3). */
typedef void validate_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * Listens on the proxy's ports, and connects, in each family that the pod has: to its loopback address, to itself, to
 * an address that is captured, to a DNS server; as the user that the process is, and, where it may change its user, as
 * the proxy and as an application. Whatever arrives somewhere else than --explain would say, or does not arrive within
 * `patience` milliseconds, is told. Nothing is sent out of the pod. Returns how many were wrong, or -errno.
 */
int validate_run(const struct redirect_plan *plan, const struct ruleset *ruleset, uint16_t port, int patience,
	validate_say *say);

#endif
