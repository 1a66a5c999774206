/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attributes of netlink messages that came from outside. Whatever is not there, or is not what it should be, is absent:
 * every function takes NULL for an absent attribute.
 */
#ifndef WEIR_NFT_ATTRIBUTE_H
#define WEIR_NFT_ATTRIBUTE_H

#include <libmnl/libmnl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An attribute of an nf_tables message, or NULL. */
const struct nlattr *nft_attribute_find(const struct nlmsghdr *message, uint16_t type);

/* An attribute of a message of any kind, behind a header of this many bytes; or NULL. */
const struct nlattr *nft_attribute_find_behind(const struct nlmsghdr *message, size_t header_size, uint16_t type);

/* An attribute inside of a nest, or NULL. */
const struct nlattr *nft_attribute_find_in(const struct nlattr *nest, uint16_t type);

/* The first attribute of a nest and the one behind another; NULL at the end. */
const struct nlattr *nft_attribute_first(const struct nlattr *nest);
const struct nlattr *nft_attribute_next(const struct nlattr *nest, const struct nlattr *attribute);

/* A 32-bit number in host order; `fallback` where there is none. */
uint32_t nft_attribute_number(const struct nlattr *attribute, uint32_t fallback);

/* A text, inside of the message; "" where there is none that ends. */
const char *nft_attribute_text(const struct nlattr *attribute);

/* The bytes and their count; NULL and 0 where there is no attribute. */
const uint8_t *nft_attribute_bytes(const struct nlattr *attribute, uint32_t *ret_size);

/* Whether both are absent, or both have the same bytes. */
bool nft_attribute_equal(const struct nlattr *a, const struct nlattr *b);

#endif
