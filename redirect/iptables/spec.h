/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one line of iptables matches, as text, and the line as iptables-save spells it.
 */
#ifndef WEIR_IPTABLES_SPEC_H
#define WEIR_IPTABLES_SPEC_H

#include "redirect/plan/ruleset.h"

#include <stdbool.h>
#include <stdio.h>

/* Bytes of the parts with their NUL. */
#define IPTABLES_PART_SIZE 160
#define IPTABLES_MATCHES_SIZE 512

/* The parts, in the order in which iptables-save prints them. An empty one matches everything. */
struct iptables_spec {
	char source[IPTABLES_PART_SIZE];
	char destination[IPTABLES_PART_SIZE];
	char in[IPTABLES_PART_SIZE];
	char out[IPTABLES_PART_SIZE];
	const char *protocol; /* "tcp", "udp", or NULL */
	bool not_protocol;
	char matches[IPTABLES_MATCHES_SIZE];
	char transport[IPTABLES_PART_SIZE]; /* options of the protocol's own match */
};

/* Adds that a field has, or (where the field's rules want that) has not, one value, or one of a range. */
void iptables_spec_add(struct iptables_spec *spec, enum rule_field field, const struct interval *value, bool negated);

/* Adds that an address begins like `address`, in `prefix` bits. */
void iptables_spec_add_cidr(struct iptables_spec *spec, enum rule_field field, const uint8_t *address, unsigned prefix);

/* Adds that the TCP port is neither of two. */
void iptables_spec_add_two_ports(struct iptables_spec *spec, const struct interval *one, const struct interval *two);

/* Makes the line "-A CHAIN ... TARGET"; the target may be empty. The caller frees it. Returns NULL without memory. */
char *iptables_spec_write(const struct iptables_spec *spec, const char *chain, const char *comment, const char *target);

/* Writes the match that is a comment. */
void iptables_write_comment(const char *comment, FILE *out);

#endif
