/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which rule decides about a connection. The same rules that are programmed are walked as data.
 */
#ifndef WEIR_EXPLAIN_H
#define WEIR_EXPLAIN_H

#include "redirect/base/address.h"
#include "redirect/base/error.h"
#include "redirect/plan/ruleset.h"
#include "redirect/plan/setting.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* A connection that is about to be opened: from inside the pod, or, through the interface `iif`, into it. */
struct explain_probe {
	struct endpoint destination;
	bool udp;
	bool has_source; /* else: one that no rule names */
	struct address source;
	uint32_t mark;
	bool has_uid; /* else: of a user that is not the proxy's */
	uint32_t uid;
	bool has_gid; /* else: of a group that is not the proxy's */
	uint32_t gid;
	uint8_t oif[INTERVAL_KEY_MAX]; /* a name, padded with zeros; empty: "lo" for loopback, else one that no rule names */
	uint8_t iif[INTERVAL_KEY_MAX]; /* the same; empty: it comes from inside */
};

/* What becomes of it. The pointers lead into the ruleset. */
struct explanation {
	enum rule_verdict verdict; /* RULE_REDIRECT, RULE_TPROXY, or RULE_RETURN: it goes its own way */
	uint16_t port;             /* of the pod, when it is captured */
	const struct rule_chain *chain;
	const struct rule *rule;        /* that decides; NULL: no chain looks at it */
	size_t place;                   /* of the rule in its chain, counted from 1 */
	const struct rule_set *set;     /* in which the rule found it, or NULL */
	const struct interval *element; /* of that set, or NULL */
};

/*
 * Reads "ADDRESS:PORT" or "[ADDRESS]:PORT". Returns 0 or -EINVAL.
 */
int explain_read_destination(const char *text, struct endpoint *ret_destination, struct error *e);

/* Whether the connection comes from outside, through an interface. */
bool explain_is_inbound(const struct explain_probe *probe);

/* Walks the rules of the chains that such a connection meets. */
void explain_walk(const struct ruleset *ruleset, const struct explain_probe *probe, struct explanation *ret);

/*
 * Writes the decision, its rule, what matched, and which setting asked for it and how that came. With `explanation`
 * NULL there are no rules: interception is off.
 */
void explain_write_text(const struct explain_probe *probe, const struct explanation *explanation,
	const struct settings *settings, FILE *out);

/* The same as one JSON object on one line. */
void explain_write_json(const struct explain_probe *probe, const struct explanation *explanation,
	const struct settings *settings, FILE *out);

#endif
