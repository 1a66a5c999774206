/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Userdata of tables, sets and rules: types, lengths and values that nft keeps with an object, opaque to the kernel.
 * weir writes comments, and of sets whose keys are in the host's byte order that they are, as every nft does; newer kinds
 * of it make older versions of nft crash when they list the table.
 */
#ifndef WEIR_NFT_USERDATA_H
#define WEIR_NFT_USERDATA_H

#include "redirect/plan/ruleset.h"

#include <stdint.h>

/* Bytes that a comment takes: type, length, text, NUL; and the byte order of keys: type, length, number. */
#define NFT_USERDATA_SIZE (RULESET_COMMENT_MAX + 3 + 6)

/* Writes a comment of type NFTNL_UDATA_*_COMMENT, at most RULESET_COMMENT_MAX bytes long. Returns the bytes written. */
uint32_t nft_userdata_put_comment(uint8_t *out, uint8_t type, const char *comment);

/* Writes that a set's keys are in the host's byte order. Returns the bytes written. */
uint32_t nft_userdata_put_host_order(uint8_t out[NFT_USERDATA_SIZE]);

/* The comment in `size` bytes of userdata, inside of it; "" when there is none. `data` may be NULL. */
const char *nft_userdata_comment(const uint8_t *data, uint32_t size, uint8_t type);

#endif
