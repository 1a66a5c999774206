/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values of a rule's fields as text, spelled as nft spells them.
 */
#ifndef WEIR_RULE_VALUE_H
#define WEIR_RULE_VALUE_H

#include "redirect/plan/ruleset.h"

/* Bytes of one value as text with its NUL: two IPv6 addresses and a dash. */
#define RULE_VALUE_SIZE 128

/* Writes an interval of a field's values: an address, a CIDR, a number, a range, a quoted name. Returns `out`. */
const char *rule_value_format(char out[RULE_VALUE_SIZE], enum rule_field field, const struct interval *interval);

#endif
