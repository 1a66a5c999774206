/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host names and labels as Istio's resources write them. Pure.
 */
#ifndef WEIR_POLICY_NAME_H
#define WEIR_POLICY_NAME_H

#include "redirect/base/error.h"

#include <stdbool.h>
#include <stddef.h>

/* The longest host name that Istio takes, the longest one in DNS (RFC 1035), and the longest label. */
#define NAME_LENGTH_MAX 255u
#define NAME_RESOLVABLE_MAX 253u
#define NAME_LABEL_MAX 63u

/* Checks a name whose first label may be a wildcard: "*", "*x" or "*-x". Returns 0, or -EINVAL with Istio's message. */
int name_check_wildcard(const char *name, struct error *e);

/* Checks a name without wildcard. Returns 0, or -EINVAL with Istio's message. */
int name_check_full(const char *name, struct error *e);

/* Whether a text is a DNS label: letters and digits, "-" inside, at most 63. */
bool name_is_label(const char *text);

/* Whether DNS can be asked for a name that Istio takes: it is not too long, and its last label is not a number. */
bool name_is_resolvable(const char *name);

/* Whether a host begins with a wildcard. */
bool name_is_wildcard(const char *host);

/* Whether every name that `host` stands for is one that `of` stands for. */
bool name_is_subset(const char *host, const char *of);

/*
 * Brings a host into the form in which hosts are compared: small letters, and no dot at the end. Writes at most
 * NAME_LENGTH_MAX bytes without NUL. Returns the length, or -EINVAL for what is empty or too long.
 */
int name_canonical(char out[NAME_LENGTH_MAX], const char *host, size_t length);

/*
 * Whether a text can be a host that somebody asks for: letters, digits, "-", "_" and ".", or an IPv6 address in brackets.
 * Anything else may be read as another host by whoever is asked, whatever wildcard it ends like.
 */
bool name_is_host(const char *text, size_t length);

/*
 * The host of an HTTP authority: without its port, whatever that is. Inside `authority`; returns the length.
 */
size_t name_of_authority(const char *authority, size_t length);

#endif
