/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The settings of redirection: what each is called, wherever it may come from, and the text that it was given.
 *
 * Annotations, the defaults of the CNI configuration, flags and environment differ only in how they spell a setting.
 * All of them fill one struct settings, and plan_build() alone reads it. A new setting is one more row of the table in
 * setting.c, and a reader of its text in plan.c.
 */
#ifndef WEIR_SETTING_H
#define WEIR_SETTING_H

#include "redirect/base/error.h"

#include <stdbool.h>
#include <stddef.h>

/* A list file (@FILE) may be this large; cloud providers publish a few megabytes. */
#define SETTING_FILE_SIZE_MAX (64u << 20)

enum setting {
	SETTING_INTERCEPTION_MODE,
	SETTING_INCLUDE_OUTBOUND_IP_RANGES,
	SETTING_EXCLUDE_OUTBOUND_IP_RANGES,
	SETTING_INCLUDE_OUTBOUND_PORTS,
	SETTING_EXCLUDE_OUTBOUND_PORTS,
	SETTING_INCLUDE_INBOUND_PORTS,
	SETTING_EXCLUDE_INBOUND_PORTS,
	SETTING_EXCLUDE_INTERFACES,
	SETTING_KUBEVIRT_INTERFACES,
	SETTING_REROUTE_VIRTUAL_INTERFACES,
	SETTING_DNS_CAPTURE,
	SETTING_CAPTURE_ALL_DNS,
	SETTING_DNS_SERVERS,
	SETTING_DROP_INVALID,
	SETTING_INCLUDE_OWNER_GROUPS,
	SETTING_EXCLUDE_OWNER_GROUPS,
	SETTING_CONTAINMENT,
	SETTING_PROXY_UID,
	SETTING_PROXY_GID,
	SETTING_PROXY_PORT,
	SETTING_INBOUND_PORT,
	SETTING_INBOUND_TUNNEL_PORT,
	SETTING_TPROXY_MARK,
	SETTING_TPROXY_ROUTE_TABLE,
	SETTING_LOOPBACK_CIDR,
	SETTING_COUNT
};

/* How a setting's text came. */
enum setting_way {
	SETTING_WAY_DEFAULT,
	SETTING_WAY_CONFIGURATION, /* the CNI configuration */
	SETTING_WAY_ANNOTATION,
	SETTING_WAY_FLAG,
	SETTING_WAY_ENVIRONMENT,
	SETTING_WAY_FILE, /* the system's own, as /etc/resolv.conf */
};

/* What a setting's text may be. */
enum setting_kind {
	SETTING_KIND_MODE,        /* REDIRECT, TPROXY, NONE */
	SETTING_KIND_RANGES,      /* IP addresses and CIDRs */
	SETTING_KIND_RANGES_ALL,  /* the same, or "*" */
	SETTING_KIND_PORTS,       /* ports and ranges of ports */
	SETTING_KIND_PORTS_ALL,   /* the same, or "*" */
	SETTING_KIND_INTERFACES,  /* interface names and patterns */
	SETTING_KIND_IDS,         /* user or group IDs and ranges of them */
	SETTING_KIND_GROUPS,      /* IDs of groups and ranges of them, or "*" */
	SETTING_KIND_GROUPS_ONLY, /* the same, but not "*" */
	SETTING_KIND_SWITCH,      /* true or false, as Go's strconv.ParseBool */
	SETTING_KIND_CONTAINMENT, /* off, audit, strict */
	SETTING_KIND_PORT,        /* one port, not 0 */
	SETTING_KIND_NUMBER,      /* one 32-bit number, not 0 */
	SETTING_KIND_LOOPBACK,    /* an IPv4 CIDR inside 127.0.0.0/8 */
	SETTING_KIND_COUNT
};

/* One row of the table. A name that is NULL does not exist. */
struct setting_spec {
	const char *annotation;        /* the whole key */
	const char *key;               /* in the CNI configuration */
	const char *flag;              /* without "--" */
	char letter;                   /* the short flag, or 0 */
	const char *environment[2];    /* the second is an alias */
	bool empty_environment_counts; /* a variable that is set to nothing is a value, not absent */
	enum setting_kind kind;
	const char *pod_default;  /* where annotations and the CNI configuration say nothing */
	const char *flag_default; /* where flags and environment say nothing */
	const char *inert;        /* NULL: built. Else the value that asks for nothing; any other is refused */
};

/* The row of a setting. */
const struct setting_spec *setting_spec(enum setting setting);

/* The name that a setting goes by wherever it came from: its annotation, else its configuration key, flag or variable. */
const char *setting_name(enum setting setting);

/* A setting's text and where it came from. */
struct setting_value {
	const char *text; /* not NULL; borrowed, or file_text */
	size_t length;
	enum setting_way way;
	const char *spelling; /* the name as it was given; borrowed */
	char *file_name;      /* where settings_read_files() found the text, else NULL; owned */
	char *file_text;      /* owned */
};

struct settings {
	struct setting_value values[SETTING_COUNT];
};

/* Fills in the defaults of pods (annotations and CNI configuration). */
void settings_init_for_pod(struct settings *settings);

/* Fills in the defaults of the init program (flags and environment). */
void settings_init_for_flags(struct settings *settings);

/* Gives a setting a text, in place of what it had. Text and spelling are borrowed until settings_free(). */
void settings_set(struct settings *settings, enum setting setting, enum setting_way way, const char *spelling,
	const char *text, size_t length);

/*
 * Replaces each text of the form @FILE by what the file holds. An annotation must not make the host read a file: there
 * it is an error. Returns 0 or -errno, with `*ret_failed` the setting at fault.
 */
int settings_read_files(struct settings *settings, enum setting *ret_failed, struct error *e);

/* Frees what settings_read_files() read. */
void settings_free(struct settings *settings);

/* Writes how a value was given: "annotation K", "CNI configuration key K", "flag --F", "environment variable E". */
const char *setting_origin(char *out, size_t size, const struct setting_value *value);

#endif
