/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fills typed objects out of a document's tree. An object is a table of fields; what is wrong with one is reported with
 * file, line and the path to it. What is read is in the reader's arena, and nothing of it points into the tree.
 */
#ifndef WEIR_POLICY_READER_H
#define WEIR_POLICY_READER_H

#include "proxy/policy/arena.h"
#include "proxy/policy/node.h"
#include "proxy/policy/report.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How deep fields nest, of which "spec.http[0].route[0].headers.request.set.NAME" is about the deepest. */
#define READER_STEP_MAX 32u

/* Items of one list: what is checked pairwise stays bounded. */
#define READER_ITEM_MAX 4096u

/*
 * Texts of a file that are remembered, and how long they are at most: what stands there again and again (names of
 * namespaces, ports, protocols, labels) is kept once. A text that comes later may take another's place.
 */
#define READER_KNOWN_COUNT 256u
#define READER_KNOWN_LENGTH 64u

struct reader_step {
	const char *key; /* NULL: an index */
	size_t index;
};

struct reader {
	struct arena *arena;
	struct report *report;
	const char *file;
	const char *resource;     /* "ServiceEntry default/httpbin-ext", as far as it is known */
	const struct node *root;  /* of the document; to find a problem's line */
	const char *namespace_;   /* of resources that do not say */
	struct reader_step steps[READER_STEP_MAX];
	size_t depth;
	const char *known[READER_KNOWN_COUNT]; /* by a hash; in the arena */
	bool failed;    /* an error was reported: the object must not be used */
	bool no_memory; /* and it may not be complete for that reason */
};

/* Reads one value into `target`, which is zeroed memory of the type that the function is for. */
typedef void reader_function(struct reader *r, const struct node *node, void *target);

struct reader_field {
	const char *name;
	reader_function *read; /* NULL: known, and without effect here, which is worth a warning */
	size_t offset;         /* of the target in the object */
};

struct texts {
	const char **items;
	size_t count;
};

struct pair {
	const char *name;
	const char *value;
};

struct pairs {
	struct pair *items;
	size_t count;
};

struct duration {
	bool is_set;
	int64_t nanoseconds;
};

/* An integer field that may be absent. */
struct number {
	bool is_set;
	int32_t value;
};

/* Goes one step deeper, and back. What is deeper than READER_STEP_MAX is left out of paths. */
void reader_enter(struct reader *r, const char *key);
void reader_enter_index(struct reader *r, size_t index);
void reader_leave(struct reader *r);

/* Reports a problem with a field of where the reader is; "" means the place itself. */
void reader_error(struct reader *r, const char *field, const char *format, ...) __attribute__((format(printf, 3, 4)));
void reader_warn(struct reader *r, const char *field, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Marks the object as incomplete, for want of memory. Always returns NULL. */
void *reader_no_memory(struct reader *r);

/* Memory in the arena. Returns NULL, and marks the reader, when there is none. */
void *reader_alloc(struct reader *r, size_t count, size_t size);

/* A text in the arena, maybe one that is there already. Returns NULL, and marks the reader, when memory is out. */
const char *reader_copy(struct reader *r, const char *text);

/* Reads a map's fields into an object. Unknown fields are warned of, null ones are absent. */
void reader_object(struct reader *r, const struct node *node, const struct reader_field *fields, size_t count,
	void *object);

/*
 * Reads a list into an array of objects of `size` bytes. A null item is an error that says `null_text`. Returns the
 * array, with its length in `*ret_count`; NULL for an empty list.
 */
void *reader_items(struct reader *r, const struct node *node, size_t size, reader_function *read, const char *null_text,
	size_t *ret_count);

/* A zeroed object of `size` bytes, read by `read`, for fields that are pointers. NULL when memory is out. */
void *reader_new(struct reader *r, const struct node *node, size_t size, reader_function *read);

/* The place of a text among words, exactly; `otherwise` after an error that lists them. */
int reader_word(struct reader *r, const struct node *node, const char *const *words, size_t count, int otherwise);

/* The text of a string, which belongs to the tree; NULL after an error. */
const char *reader_scalar(struct reader *r, const struct node *node);

/* Reading functions for plain types. */
void reader_text(struct reader *r, const struct node *node, void *target);     /* const char * */
void reader_texts(struct reader *r, const struct node *node, void *target);    /* struct texts */
void reader_pairs(struct reader *r, const struct node *node, void *target);    /* struct pairs */
void reader_boolean(struct reader *r, const struct node *node, void *target);  /* bool */
void reader_integer(struct reader *r, const struct node *node, void *target);  /* int32_t */
void reader_number(struct reader *r, const struct node *node, void *target);   /* struct number */
void reader_real(struct reader *r, const struct node *node, void *target);     /* double */
void reader_duration(struct reader *r, const struct node *node, void *target); /* struct duration, as protobuf and Go write it */
void reader_ignore(struct reader *r, const struct node *node, void *target);   /* nothing, and no warning */

#endif
