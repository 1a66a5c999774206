/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks that several kinds of resources share, with Istio's messages. Each reports to the reader, for a field of where
 * it is.
 */
#ifndef WEIR_POLICY_CHECK_H
#define WEIR_POLICY_CHECK_H

#include "proxy/policy/reader.h"
#include "proxy/policy/subnet.h"

/* A port number is in 1 to 65535. */
void check_port(struct reader *r, const char *field, int32_t number);

/* A duration is at least 1 ms, in whole milliseconds. One that is not set is fine. */
void check_duration(struct reader *r, const char *field, const struct duration *duration);

/* The namespaces that a resource is visible in; `none` says whether "~" may be among them. */
void check_export_to(struct reader *r, const struct texts *export_to, bool none);

/* Reads addresses into subnets, which are in the reader's arena; NULL after an error, or for none. */
struct subnet *check_subnets(struct reader *r, const char *field, const struct texts *addresses);

/* Checks hosts with wildcards, of which none may be "*", and brings them into the form in which they are compared. */
void check_hosts(struct reader *r, const char *field, struct texts *hosts);

/* The same for one text; `wildcard` says whether one is allowed. Returns the text to keep, or NULL after an error. */
const char *check_host(struct reader *r, const char *field, const char *host, bool wildcard);

/* The name of an HTTP header that may be set or removed. */
void check_header_name(struct reader *r, const char *field, const char *name, bool authority);

/* Whether a header is the request's authority. */
bool check_is_authority(const char *name);

/* Labels that a pod must carry, as far as it is known what it carries. */
bool check_labels_match(const struct pairs *wanted, const struct pairs *labels);

#endif
