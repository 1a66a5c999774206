/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a running proxy has to say, on stderr.
 */
#ifndef WEIR_PROXY_WARN_H
#define WEIR_PROXY_WARN_H

/*
 * Writes one line, "weir-proxy: " ahead. Any thread may call: where stderr takes nothing (a pipe that nobody reads), the
 * line is lost, and nobody waits for it.
 */
void warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
