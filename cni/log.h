/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plugin's log: one line a message, in a file that is kept below a size, or on stderr.
 *
 * Many plugins run at once and share the file: each line is one write() at its end. A log that cannot be written is
 * none, and never fails or holds up a pod.
 */
#ifndef WEIR_CNI_LOG_H
#define WEIR_CNI_LOG_H

#include <stdbool.h>
#include <stddef.h>

/* A file of this many bytes is renamed to NAME.1, in place of the one before, and a new one begun. */
#define LOG_FILE_SIZE_MAX (10u << 20)

/* Bytes of one line with its newline; a longer message is cut. */
#define LOG_LINE_SIZE 2048

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR, LOG_LEVEL_COUNT };

struct log {
	int fd; /* -1: nowhere */
	bool owned;
	enum log_level level; /* the lowest that is written */
	char subject[600];    /* in front of each message: the verb, the container, the pod */
};

/* Opens the log: a file, stderr when `path` is NULL, nothing when it is "". `size_max` is LOG_FILE_SIZE_MAX. */
void log_open(struct log *log, const char *path, enum log_level level, size_t size_max);

/* Closes the file. */
void log_close(struct log *log);

/* Writes one line, control bytes escaped. */
void log_write(const struct log *log, enum log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Reads debug, info, warn or error. Returns false for any other text. */
bool log_level_parse(const char *text, enum log_level *ret_level);

#endif
