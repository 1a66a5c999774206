/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An address, or a range of them with a common prefix.
 */
#ifndef WEIR_POLICY_SUBNET_H
#define WEIR_POLICY_SUBNET_H

#include "redirect/base/address.h"
#include "redirect/base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* Bits of an address; IPv4 counts with the prefix of its mapped form. */
#define SUBNET_BITS_MAX 128u

struct subnet {
	struct address address; /* bits behind the prefix are zero */
	uint8_t bits;
};

/* Reads "address" or "address/length"; host bits are dropped. Returns 0, or -EINVAL with Istio's message. */
int subnet_parse(const char *text, struct subnet *ret_subnet, struct error *e);

/* Whether an address is in the subnet. */
bool subnet_contains(const struct subnet *subnet, const struct address *address);

/* Zeroes the bits of an address that are behind the first `bits`. */
void subnet_mask(struct address *address, unsigned bits);

#endif
