/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values that have to be put together, or looked up. For operator*.c alone.
 */
#ifndef WEIR_PROXY_OPERATOR_WORDS_H
#define WEIR_PROXY_OPERATOR_WORDS_H

#include "proxy/log/operator.h"

#include <string.h>

/* --- kinds of values; one that is not set is absent */

static inline void set_number(struct operator_value *value, uint64_t number)
{
	value->type = OPERATOR_NUMBER;
	value->size = number;
}

static inline void set_plain(struct operator_value *value, const char *data, size_t size)
{
	value->type = OPERATOR_PLAIN;
	value->data = data;
	value->size = size;
}

static inline void set_text(struct operator_value *value, const struct facts_text *text)
{
	if (text->data == NULL)
		return;
	value->type = OPERATOR_TEXT;
	value->data = text->data;
	value->size = text->size;
}

/* --- columns of words */

/* RESPONSE_CODE_DETAILS of a request that has some. */
void operator_details(struct operator_value *value, const struct facts_http *http, char scratch[OPERATOR_SCRATCH_SIZE]);

/* UPSTREAM_TRANSPORT_FAILURE_REASON. */
void operator_failure(struct operator_value *value, const struct facts *facts, char scratch[OPERATOR_SCRATCH_SIZE]);

/* CONNECTION_TERMINATION_DETAILS, and what else there is to say where Istio has no column for it. */
void operator_termination(struct operator_value *value, const struct facts *facts, char scratch[OPERATOR_SCRATCH_SIZE]);

/* RESPONSE_FLAGS: one, or several with commas, or "-". */
void operator_flags(struct operator_value *value, const struct facts *facts, char scratch[OPERATOR_SCRATCH_SIZE]);

/* RESPONSE_FLAGS_LONG. */
void operator_flags_long(struct operator_value *value, const struct facts *facts, char scratch[OPERATOR_SCRATCH_SIZE]);

#endif
