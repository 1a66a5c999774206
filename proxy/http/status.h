/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reason phrases, Envoy's own: what the origin says instead is not passed on.
 */
#ifndef WEIR_PROXY_HTTP_STATUS_H
#define WEIR_PROXY_HTTP_STATUS_H

#include "proxy/http/text.h"

/* The phrase of a status; "Unknown" where there is none. */
struct http_text http_status_reason(unsigned status);

/* The grpc-status that a status becomes. */
unsigned http_status_grpc(unsigned status);

#endif
