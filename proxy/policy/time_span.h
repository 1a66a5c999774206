/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Durations as text, in the two notations of the resources. Pure.
 */
#ifndef WEIR_POLICY_TIME_SPAN_H
#define WEIR_POLICY_TIME_SPAN_H

#include <stdint.h>

#define TIME_SPAN_MILLISECOND INT64_C(1000000)
#define TIME_SPAN_SECOND (1000 * TIME_SPAN_MILLISECOND)

/*
 * Istio's resources and mesh settings: numbers, which may have a fraction, each with its unit (h, m, s, ms, us, ns), as
 * Go reads it; protobuf's "3s" and "0.5s" are of this form. Returns 0, -EINVAL, or -ERANGE beyond 292 years.
 */
int time_span_parse(const char *text, int64_t *ret_nanoseconds);

/*
 * The Gateway API (GEP-2257): one to four parts, each of one to five digits and h, m, s or ms, in any order.
 * Returns 0 or -EINVAL.
 */
int time_span_parse_gateway(const char *text, int64_t *ret_nanoseconds);

#endif
