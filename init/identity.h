/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of users and groups, read from the files themselves: the name service would ask whatever the image configures,
 * over a network that is not there yet.
 */
#ifndef WEIR_INIT_IDENTITY_H
#define WEIR_INIT_IDENTITY_H

#include <stddef.h>

enum identity_kind { IDENTITY_USER, IDENTITY_GROUP };

/*
 * Copies a comma-separated list, with each item that is the name of a user or group in the file (passwd(5), group(5))
 * replaced by its ID. Other items stay as they are, for plan_build() to complain of. The caller frees the text. Returns 0
 * or -ENOMEM.
 */
int identity_resolve(const char *list, enum identity_kind kind, const char *path, char **ret_text);

#endif
