/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plan: what is to be redirected and what is let through, as plain data. No text of the user is left in it, so
 * equal settings give equal plans, whichever way they came.
 */
#ifndef WEIR_PLAN_H
#define WEIR_PLAN_H

#include "redirect/base/error.h"
#include "redirect/base/interval.h"
#include "redirect/plan/setting.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Warnings that one plan can give, and bytes of each. There are fewer combinations than this. */
#define PLAN_WARNING_MAX 16
#define PLAN_WARNING_SIZE 256

/* Where captured DNS goes; Istio has no setting for it. */
#define PLAN_DNS_PORT 15053

enum plan_interception {
	PLAN_INTERCEPTION_NONE, /* nothing is to be programmed */
	PLAN_INTERCEPTION_REDIRECT,
	PLAN_INTERCEPTION_TPROXY, /* inbound by TPROXY, which keeps the client's address; outbound as ever */
};

/* Whose DNS is captured, over UDP and TCP alike. */
enum plan_dns {
	PLAN_DNS_OFF,
	PLAN_DNS_SERVERS, /* that to the servers in PLAN_DNS_IPV4 and PLAN_DNS_IPV6 */
	PLAN_DNS_ALL,
};

enum plan_list {
	PLAN_PROXY_UIDS,
	PLAN_PROXY_GIDS,
	PLAN_EXCLUDED_INTERFACES, /* both directions */
	PLAN_VIRTUAL_INTERFACES,  /* what comes in through these is outbound, of a virtual machine behind them */
	PLAN_EXCLUDED_PORTS,
	PLAN_INCLUDED_PORTS,
	PLAN_EXCLUDED_IPV4,
	PLAN_EXCLUDED_IPV6,
	PLAN_INCLUDED_IPV4,
	PLAN_INCLUDED_IPV6,
	PLAN_EXCLUDED_GROUPS,
	PLAN_INCLUDED_GROUPS, /* counts where include_all_groups is not set */
	PLAN_DNS_IPV4,
	PLAN_DNS_IPV6,
	PLAN_EXCLUDED_INBOUND_PORTS, /* counts where include_all_inbound is set */
	PLAN_INCLUDED_INBOUND_PORTS,
	PLAN_LIST_COUNT
};

struct redirect_plan {
	enum plan_interception interception;
	uint16_t proxy_port;      /* where captured outbound connections go */
	uint16_t inbound_port;    /* where captured inbound connections go, and the proxy's own to the pod itself */
	uint16_t tunnel_port;     /* never captured inbound */
	bool include_everything;  /* includeOutboundIPRanges is "*" */
	bool include_loopback;    /* an included range begins on loopback: pod-local connections are looked at too */
	bool include_all_inbound; /* includeInboundPorts is "*" */
	bool include_all_groups;  /* includeOwnerGroups is "*" */
	bool drop_invalid;
	enum plan_dns dns;
	uint32_t tproxy_mark;
	uint32_t tproxy_table;
	struct interval loopback; /* IPv4 destinations that always stay in the pod, 4-byte keys */
	struct interval_list lists[PLAN_LIST_COUNT]; /* merged */
};

/* What plan_build() has to say beside the plan. */
struct plan_report {
	struct error error;       /* why it failed */
	enum setting_way way;     /* how the setting at fault came */
	size_t warning_count;
	char warnings[PLAN_WARNING_MAX][PLAN_WARNING_SIZE];
};

/*
 * Reads the settings. A wrong item, a value that this version does not do, is an error that names the setting, the item
 * and what would be valid; a combination that has no effect is a warning. On success the caller frees the plan; on
 * failure there is none. Returns 0, -EINVAL, -E2BIG or -ENOMEM. `report` is filled in either way.
 */
int plan_build(const struct settings *settings, struct redirect_plan *ret_plan, struct plan_report *report);

/* Frees the lists. */
void plan_free(struct redirect_plan *plan);

/* Whether two plans ask for the same. */
bool plan_equal(const struct redirect_plan *a, const struct redirect_plan *b);

/* Whether any range or port outbound is captured; whether anything inbound is. */
bool plan_captures_outbound(const struct redirect_plan *plan);
bool plan_captures_inbound(const struct redirect_plan *plan);

#endif
