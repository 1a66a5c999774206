/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a running proxy has to say, on stderr. Any thread may call: where stderr takes nothing (a pipe that nobody reads),
 * the line is lost, and nobody waits for it.
 */
#ifndef WEIR_PROXY_WARN_H
#define WEIR_PROXY_WARN_H

#include <stdbool.h>

/* What is said: each level has those before it. */
enum warn_level { WARN_OFF, WARN_WARNING, WARN_INFO, WARN_LEVEL_COUNT };

/* Reads a level by its name ("off", "warning", "info"; Envoy's other names mean the nearest of these). */
bool warn_read_level(const char *name, enum warn_level *ret_level);

/* Sets the level; WARN_WARNING until then. */
void warn_set_level(enum warn_level level);

/* Writes one line, "weir-proxy: " ahead: of what somebody should look at. */
void warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same, of what is only good to know. */
void inform(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
