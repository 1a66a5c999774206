/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One document as a tree: scalars, lists and maps, with the line where each begins. An aliased node stands in several
 * places, so nothing in a tree may be changed.
 */
#ifndef WEIR_POLICY_NODE_H
#define WEIR_POLICY_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum node_type { NODE_SCALAR, NODE_LIST, NODE_MAP };

/* What a scalar without quotes means, as YAML 1.1 and the Kubernetes tools read it. */
enum node_meaning { NODE_TEXT, NODE_NULL, NODE_BOOLEAN, NODE_INTEGER, NODE_NUMBER };

struct node_item;

struct node {
	enum node_type type;
	bool plain;              /* a scalar without quotes */
	unsigned line;           /* from 1 */
	size_t weight;           /* nodes in it, aliases counted as often as they stand there */
	size_t count;            /* a list's or a map's items, a scalar's bytes */
	const char *text;        /* a scalar; never with a NUL inside */
	struct node_item *first; /* of a list or map */
};

struct node_item {
	struct node_item *next;
	const char *key; /* NULL in a list */
	struct node *value;
};

/* The value of a map's key, or NULL; NULL also for what is no map. */
const struct node *node_get(const struct node *map, const char *key);

/* The list's item at an index, or NULL. */
const struct node *node_at(const struct node *list, size_t index);

/* What a scalar means; NODE_TEXT for lists and maps. */
enum node_meaning node_meaning(const struct node *node);

/* Whether a value is absent (NULL) or null. */
bool node_is_null(const struct node *node);

/* The value of a NODE_BOOLEAN. */
bool node_boolean(const struct node *node);

/* A NODE_INTEGER in decimal. Returns 0, -EINVAL for another notation, or -ERANGE. */
int node_integer(const struct node *node, int64_t *ret_value);

/* The value of a NODE_INTEGER or NODE_NUMBER. Returns 0 or -EINVAL. */
int node_number(const struct node *node, double *ret_value);

#endif
