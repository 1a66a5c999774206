/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON on its way in and out: one object that is taken strictly as JSON has it, and a value that is written whole or not
 * at all.
 */
#ifndef WEIR_CNI_DOCUMENT_H
#define WEIR_CNI_DOCUMENT_H

#include "cni/reply.h"

#include <stdio.h>

/* Bytes of stdin that are read: annotations end at 256 KiB, default lists may be longer. */
#define DOCUMENT_SIZE_MAX (16u << 20)

/* Levels of nesting that are followed. */
#define DOCUMENT_DEPTH_MAX 64

struct json_object;

/* Reads all of `in`, which holds one object; the caller puts it. Returns 0, or -errno with `reply` filled in. */
int document_read(FILE *in, struct json_object **ret_root, struct reply *reply);

/* Makes the text of a value, equal as JSON; it lives in the value. Returns 0, or -ENOMEM with `reply` filled in. */
int document_render(struct json_object *value, const char **ret_text, struct reply *reply);

#endif
