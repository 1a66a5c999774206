/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads one item of a setting's text: an address range, a number or a range of numbers, an interface name.
 *
 * Each reader returns NULL and fills its outputs, or returns what is wrong with the item as a text that never changes.
 */
#ifndef WEIR_VALUE_H
#define WEIR_VALUE_H

#include "redirect/base/interval.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The highest user or group ID; the one above stands for "none" in the kernel. */
#define VALUE_ID_MAX (UINT32_MAX - 1)

/* An address or a CIDR, host bits cleared. An IPv4-mapped IPv6 range is the IPv4 range that it stands for. */
struct value_range {
	bool ipv4;
	bool loopback;         /* the address that was written is in 127.0.0.0/8, or is ::1 */
	unsigned prefix;       /* bits, of the family */
	struct interval range; /* keys of 4 or 16 bytes */
};

const char *value_read_range(const char *text, size_t length, struct value_range *ret_range);

/* A decimal number from `lowest` to `highest`, without sign or leading zeros. */
const char *value_read_number(const char *text, size_t length, uint32_t lowest, uint32_t highest, uint32_t *ret_number);

/* A number, or a range "a-b" or "a:b" of them, within 0 to `highest`. */
const char *value_read_numbers(const char *text, size_t length, uint32_t highest, uint32_t *ret_first,
	uint32_t *ret_last);

/*
 * An interface name as the kernel allows it (at most 15 bytes), or a pattern: a beginning of names with "+" or "*"
 * behind it. Bytes that a rule listing could not show are refused. The interval's keys are names padded to 16 bytes.
 */
const char *value_read_interface(const char *text, size_t length, struct interval *ret_names);

/* true or false, as Go's strconv.ParseBool spells them. */
const char *value_read_switch(const char *text, size_t length, bool *ret_on);

#endif
