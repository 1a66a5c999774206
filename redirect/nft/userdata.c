/* SPDX-License-Identifier: Apache-2.0 */
#include "redirect/nft/userdata.h"

#include <assert.h>
#include <libnftnl/udata.h>
#include <string.h>

/* nft's number for the host's byte order (its datatype.h). */
#define HOST_ENDIAN 1u

uint32_t nft_userdata_put_host_order(uint8_t out[NFT_USERDATA_SIZE])
{
	static const uint32_t order = HOST_ENDIAN;

	out[0] = NFTNL_UDATA_SET_KEYBYTEORDER;
	out[1] = sizeof order;
	memcpy(out + 2, &order, sizeof order);
	return 2 + sizeof order;
}

uint32_t nft_userdata_put_comment(uint8_t *out, uint8_t type, const char *comment)
{
	size_t length = strlen(comment) + 1;

	assert(length <= RULESET_COMMENT_MAX + 1);
	out[0] = type;
	out[1] = (uint8_t)length;
	memcpy(out + 2, comment, length);
	return (uint32_t)length + 2;
}

const char *nft_userdata_comment(const uint8_t *data, uint32_t size, uint8_t type)
{
	if (data == NULL)
		return "";
	for (uint32_t i = 0; i + 2 <= size && i + 2 + data[i + 1] <= size; i += 2u + data[i + 1])
		if (data[i] == type && data[i + 1] > 0 && data[i + 1 + data[i + 1]] == '\0')
			return (const char *)&data[i + 2];
	return "";
}
