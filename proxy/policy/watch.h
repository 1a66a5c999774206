/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file that may change: its content, whenever there is a new one. Links are followed, so that one that is exchanged is
 * a change, too.
 */
#ifndef WEIR_POLICY_WATCH_H
#define WEIR_POLICY_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

/* Bytes of one file. */
#define WATCH_SIZE_MAX (32u << 20)

/* What changes when a file does. */
struct watch_state {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec modified;
	struct timespec changed;
};

/* {0} is a file of which nothing is known. */
struct watch {
	struct watch_state seen; /* as it was when it was read */
	uint64_t content;        /* a hash */
	bool known;       /* these two count */
	bool young;       /* it was written just before: the clock may not tell the next write from that one */
	int error;        /* errno value that the last read ended with; 0: none */
};

/*
 * Looks whether there is something new. `name` is relative to the open directory, or absolute. Returns 1 with the content,
 * which the caller frees; 0 where nothing has changed, neither for the better nor for the worse; or -errno where the file
 * cannot be read any more, which is said once, but for -ENOMEM. What cannot be read now is new again when it can.
 */
int watch_read(struct watch *watch, int directory, const char *name, char **ret_text, size_t *ret_length);

/* Forgets what was read, for a content that could not be used: the next read is new. */
void watch_forget(struct watch *watch);

#endif
