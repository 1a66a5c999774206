/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of YAML documents, or of one JSON value, as trees.
 *
 * The text is cut into documents before any is read, so that one that is broken takes no other with it.
 */
#ifndef WEIR_POLICY_YAML_H
#define WEIR_POLICY_YAML_H

#include "proxy/policy/arena.h"
#include "proxy/policy/node.h"
#include "redirect/base/error.h"

#include <stdbool.h>
#include <stddef.h>

/* How deep a document may nest, and how many nodes it may have, each alias counted with all that is in it. */
#define YAML_DEPTH_MAX 64u
#define YAML_NODE_MAX 600000u

/* Keys of one map, and anchors of one document. */
#define YAML_KEY_MAX 2000u
#define YAML_ANCHOR_MAX 64u

struct yaml_document {
	const char *text;
	size_t length;
	unsigned line; /* of the file, from 1, where the text begins */
};

struct yaml_cursor {
	const char *next;
	const char *end;
	unsigned line;
};

/* Starts with a file's text, which is borrowed. */
struct yaml_cursor yaml_begin(const char *text, size_t length);

/* Takes the next document, "---" included. Returns false at the end. A document may hold nothing but comments. */
bool yaml_next(struct yaml_cursor *cursor, struct yaml_document *ret_document);

/*
 * Reads a document. The tree is in `arena`; NULL for a document that is empty. Returns 0, or -EINVAL, -E2BIG or -ENOMEM
 * with the text in `e` and the line in `*ret_line`.
 */
int yaml_read(const struct yaml_document *document, struct arena *arena, struct node **ret_root, unsigned *ret_line,
	struct error *e);

#endif
