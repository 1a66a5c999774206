/* SPDX-License-Identifier: Apache-2.0 */
/*
 * There are five things at most: a rule and a route in each family, and an address. Each is a row of a table that knows
 * how to ask for all of its kind, how to add and how to delete one. Reading marks which of those wanted are there, and
 * deletes or tells those that are weir's and not wanted.
 *
 * Where the pod has no IPv6, what is for IPv6 is not wanted: of routing, lo's settings tell; and the address only makes
 * sense to a pod that has another one (to resolvers, it would make a pod without IPv6 look as if it had it).
 */
#include "redirect/kernel/route.h"

#include "redirect/nft/attribute.h"
#include "redirect/nft/socket.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/ipv6.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* Room for one request. */
#define REQUEST_SIZE 512u

/* The interface lo has this index in every namespace. */
#define LO_INDEX 1

static const uint8_t passthrough[16] = {[15] = 6};

struct request {
	uint8_t buffer[REQUEST_SIZE] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct nlmsghdr *message;
};

static void *request_init(struct request *request, uint16_t type, uint16_t flags, size_t header_size)
{
	memset(request->buffer, 0, sizeof request->buffer);
	request->message = mnl_nlmsg_put_header(request->buffer);
	request->message->nlmsg_type = type;
	request->message->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	return mnl_nlmsg_put_extra_header(request->message, header_size);
}

/* An attribute of a message that came, of at least `size` bytes; or NULL. */
static const struct nlattr *find(const struct nlmsghdr *message, size_t header_size, uint16_t type, size_t size)
{
	const struct nlattr *attribute = nft_attribute_find_behind(message, header_size, type);

	return attribute != NULL && mnl_attr_get_payload_len(attribute) >= size ? attribute : NULL;
}

static uint32_t number(const struct nlmsghdr *message, size_t header_size, uint16_t type, uint32_t fallback)
{
	const struct nlattr *attribute = find(message, header_size, type, sizeof(uint32_t));

	return attribute != NULL ? mnl_attr_get_u32(attribute) : fallback;
}

/* --- what is there */

static bool object_equal(const struct route_object *a, const struct route_object *b)
{
	return a->kind == b->kind && a->family == b->family && a->mark == b->mark && a->table == b->table;
}

static void take(struct route_view *view, const struct route_object *object, bool ours)
{
	for (size_t i = 0; i < view->wanted_count; i++) {
		if (!object_equal(object, &view->wanted[i]))
			continue;
		/* Twice the same of weir's is once too often. */
		if (!view->present[i] || !ours) {
			view->present[i] = true;
			return;
		}
	}
	if (ours && view->stale_count < ROUTE_STALE_MAX)
		view->stale[view->stale_count++] = *object;
}

static int read_rule(const struct nlmsghdr *message, void *context)
{
	const struct fib_rule_hdr *header = mnl_nlmsg_get_payload(message);
	const struct nlattr *protocol;
	struct route_object object = {.kind = ROUTE_RULE};

	if (message->nlmsg_type != RTM_NEWRULE || mnl_nlmsg_get_payload_len(message) < sizeof *header)
		return 0;
	protocol = find(message, sizeof *header, FRA_PROTOCOL, 1);
	object.family = header->family;
	object.mark = number(message, sizeof *header, FRA_FWMARK, 0);
	object.table = number(message, sizeof *header, FRA_TABLE, header->table);
	if (protocol != NULL && mnl_attr_get_u8(protocol) == RULESET_ROUTE_OWNER)
		take(context, &object, true);
	return 0;
}

static int read_route(const struct nlmsghdr *message, void *context)
{
	const struct rtmsg *header = mnl_nlmsg_get_payload(message);
	struct route_object object = {.kind = ROUTE_ROUTE};

	if (message->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(message) < sizeof *header ||
		header->rtm_protocol != RULESET_ROUTE_OWNER)
		return 0;
	object.family = header->rtm_family;
	object.table = number(message, sizeof *header, RTA_TABLE, header->rtm_table);
	take(context, &object, true);
	return 0;
}

static int read_address(const struct nlmsghdr *message, void *context)
{
	const struct ifaddrmsg *header = mnl_nlmsg_get_payload(message);
	struct route_view *view = context;
	const struct nlattr *address;

	if (message->nlmsg_type != RTM_NEWADDR || mnl_nlmsg_get_payload_len(message) < sizeof *header)
		return 0;
	if (header->ifa_index != LO_INDEX) {
		view->ipv6_address |= header->ifa_scope == RT_SCOPE_UNIVERSE;
		return 0;
	}
	address = find(message, sizeof *header, IFA_ADDRESS, sizeof passthrough);
	if (address == NULL || memcmp(mnl_attr_get_payload(address), passthrough, sizeof passthrough) != 0)
		return 0;
	view->has_passthrough = true;
	view->owns_passthrough = number(message, sizeof *header, IFA_RT_PRIORITY, 0) == RULESET_ROUTE_OWNER;
	return 0;
}

static int read_lo(const struct nlmsghdr *message, void *context)
{
	struct route_view *view = context;
	const struct nlattr *spec = find(message, sizeof(struct ifinfomsg), IFLA_AF_SPEC, 0);
	const struct nlattr *conf = nft_attribute_find_in(nft_attribute_find_in(spec, AF_INET6), IFLA_INET6_CONF);
	int32_t off;

	if (conf == NULL || mnl_attr_get_payload_len(conf) < (DEVCONF_DISABLE_IPV6 + 1) * sizeof off)
		return 0;
	memcpy(&off, (const uint8_t *)mnl_attr_get_payload(conf) + DEVCONF_DISABLE_IPV6 * sizeof off, sizeof off);
	view->ipv6 = off == 0;
	return 0;
}

static int ask_lo(struct nft_socket *socket, struct route_view *view)
{
	struct request request;
	struct ifinfomsg *header = request_init(&request, RTM_GETLINK, NLM_F_ACK, sizeof *header);

	header->ifi_index = LO_INDEX;
	return nft_socket_read(socket, request.message, read_lo, view);
}

/* A dump that meets a change is asked for again by the caller (-EINTR); a family that the kernel lacks has nothing. */
static int ask(struct nft_socket *socket, uint16_t type, uint8_t family, size_t header_size, nft_object_reader *reader,
	struct route_view *view)
{
	struct request request;
	uint8_t *header = request_init(&request, type, NLM_F_DUMP, header_size);
	int rc;

	*header = family; /* comes first in each of them */
	rc = nft_socket_read(socket, request.message, reader, view);
	return rc == -EAFNOSUPPORT || rc == -EOPNOTSUPP ? 0 : rc;
}

static void want(struct route_view *view, enum route_kind kind, uint8_t family, uint32_t mark, uint32_t table)
{
	view->wanted[view->wanted_count++] = (struct route_object){kind, family, mark, table};
}

/* The route stands before its rule, and goes behind it. */
static void fill_wanted(struct route_view *view, const struct rule_routing *routing)
{
	static const uint8_t families[] = {AF_INET, AF_INET6};

	for (size_t i = 0; routing->tproxy && i < 2; i++) {
		if (families[i] == AF_INET6 && !view->ipv6)
			continue;
		want(view, ROUTE_ROUTE, families[i], 0, routing->table);
		want(view, ROUTE_RULE, families[i], routing->mark, routing->table);
	}
	if (routing->passthrough_address && view->ipv6_address)
		want(view, ROUTE_ADDRESS, AF_INET6, 0, 0);
}

static int look_once(struct nft_socket *socket, const struct rule_routing *routing, struct route_view *view)
{
	static const uint8_t families[] = {AF_INET, AF_INET6};
	int rc;

	*view = (struct route_view){.ipv6 = false};
	rc = ask_lo(socket, view);
	if (rc == 0)
		rc = ask(socket, RTM_GETADDR, AF_INET6, sizeof(struct ifaddrmsg), read_address, view);
	if (rc == 0 && routing != NULL)
		fill_wanted(view, routing);
	/* Somebody else's ::6 is as good as weir's, and stays. */
	if (rc == 0 && view->has_passthrough)
		take(view, &(struct route_object){.kind = ROUTE_ADDRESS, .family = AF_INET6}, view->owns_passthrough);
	for (size_t i = 0; rc == 0 && i < 2; i++) {
		rc = ask(socket, RTM_GETRULE, families[i], sizeof(struct fib_rule_hdr), read_rule, view);
		if (rc == 0)
			rc = ask(socket, RTM_GETROUTE, families[i], sizeof(struct rtmsg), read_route, view);
	}
	return rc;
}

/* How often a namespace that keeps changing is read. */
#define ATTEMPT_MAX 32

static int look(struct nft_socket *socket, const struct rule_routing *routing, struct route_view *view, struct error *e)
{
	int rc = -EINTR;

	for (int attempt = 0; rc == -EINTR && attempt < ATTEMPT_MAX; attempt++) {
		if (attempt > 0)
			nft_socket_close(socket);
		rc = nft_socket_open_routing(socket, e);
		if (rc < 0)
			return rc;
		rc = look_once(socket, routing, view);
	}
	return rc < 0 ? error_set_errno(e, -rc, "cannot read the namespace's routes and rules") : 0;
}

/* --- adding and deleting */

static struct nlmsghdr *make_rule(struct request *request, const struct route_object *object, bool add)
{
	struct fib_rule_hdr *header = request_init(request, add ? RTM_NEWRULE : RTM_DELRULE,
		(uint16_t)(NLM_F_ACK | (add ? NLM_F_CREATE | NLM_F_EXCL : 0)), sizeof *header);

	header->family = object->family;
	header->action = FR_ACT_TO_TBL;
	mnl_attr_put_u32(request->message, FRA_FWMARK, object->mark);
	mnl_attr_put_u32(request->message, FRA_FWMASK, UINT32_MAX);
	mnl_attr_put_u32(request->message, FRA_TABLE, object->table);
	mnl_attr_put_u8(request->message, FRA_PROTOCOL, RULESET_ROUTE_OWNER);
	return request->message;
}

static struct nlmsghdr *make_route(struct request *request, const struct route_object *object, bool add)
{
	struct rtmsg *header = request_init(request, add ? RTM_NEWROUTE : RTM_DELROUTE,
		(uint16_t)(NLM_F_ACK | (add ? NLM_F_CREATE | NLM_F_EXCL : 0)), sizeof *header);

	header->rtm_family = object->family;
	header->rtm_protocol = RULESET_ROUTE_OWNER;
	header->rtm_type = RTN_LOCAL;
	header->rtm_scope = object->family == AF_INET ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE;
	mnl_attr_put_u32(request->message, RTA_TABLE, object->table);
	mnl_attr_put_u32(request->message, RTA_OIF, LO_INDEX);
	return request->message;
}

static struct nlmsghdr *make_address(struct request *request, bool add)
{
	struct ifaddrmsg *header = request_init(request, add ? RTM_NEWADDR : RTM_DELADDR,
		(uint16_t)(NLM_F_ACK | (add ? NLM_F_CREATE | NLM_F_EXCL : 0)), sizeof *header);

	header->ifa_family = AF_INET6;
	header->ifa_prefixlen = 128;
	header->ifa_index = LO_INDEX;
	mnl_attr_put(request->message, IFA_LOCAL, sizeof passthrough, passthrough);
	mnl_attr_put(request->message, IFA_ADDRESS, sizeof passthrough, passthrough);
	mnl_attr_put_u32(request->message, IFA_FLAGS, IFA_F_NODAD);
	if (add)
		mnl_attr_put_u32(request->message, IFA_RT_PRIORITY, RULESET_ROUTE_OWNER);
	return request->message;
}

/* An object in words, as ip(8) calls it. */
static const char *describe(char *out, size_t size, const struct route_object *object)
{
	const char *family = object->family == AF_INET ? "-4" : "-6";

	if (object->kind == ROUTE_RULE)
		(void)snprintf(out, size, "ip %s rule fwmark %u lookup %u", family, object->mark, object->table);
	else if (object->kind == ROUTE_ROUTE)
		(void)snprintf(out, size, "ip %s route local default dev lo table %u", family, object->table);
	else
		(void)snprintf(out, size, "ip -6 address ::6/128 dev lo");
	return out;
}

static int read_nothing(const struct nlmsghdr *message, void *context)
{
	(void)message;
	(void)context;
	return 0;
}

/* Somebody else may be at the same work: what is there already, or gone already, is as asked for. */
static int edit(struct nft_socket *socket, const struct route_object *object, bool add, struct error *e)
{
	struct request request;
	struct nlmsghdr *message = object->kind == ROUTE_RULE    ? make_rule(&request, object, add)
				   : object->kind == ROUTE_ROUTE ? make_route(&request, object, add)
								: make_address(&request, add);
	char text[128];
	int rc = nft_socket_read(socket, message, read_nothing, NULL);

	if (rc == (add ? -EEXIST : -ENOENT) || (!add && (rc == -ESRCH || rc == -EADDRNOTAVAIL)))
		return 0;
	return rc < 0 ? error_set_errno(e, -rc, "the kernel refused to %s %s", add ? "add" : "remove",
				describe(text, sizeof text, object))
		      : 0;
}

int route_begin(const struct rule_routing *want_routing, struct route_change *ret_change, struct error *e)
{
	struct route_change change = {.socket = {.mnl = NULL}};
	int rc = look(&change.socket, want_routing, &change.view, e);

	for (size_t i = 0; rc == 0 && i < change.view.wanted_count; i++) {
		if (change.view.present[i])
			continue;
		rc = edit(&change.socket, &change.view.wanted[i], true, e);
		change.added[i] = rc == 0;
	}
	if (rc < 0)
		route_abort(&change);
	else
		*ret_change = change;
	return rc;
}

int route_finish(struct route_change *change, bool *ret_changed, struct error *e)
{
	int rc = 0;

	for (size_t i = 0; i < change->view.wanted_count; i++)
		*ret_changed |= change->added[i];
	for (size_t i = 0; rc == 0 && i < change->view.stale_count; i++) {
		rc = edit(&change->socket, &change->view.stale[i], false, e);
		*ret_changed = true;
	}
	nft_socket_close(&change->socket);
	return rc;
}

/* In the reverse of the order in which they were added. */
void route_abort(struct route_change *change)
{
	for (size_t i = change->view.wanted_count; i-- > 0;)
		if (change->added[i])
			(void)edit(&change->socket, &change->view.wanted[i], false, NULL);
	nft_socket_close(&change->socket);
}

int route_check(const struct rule_routing *want_routing, struct nft_differences *differences, struct error *e)
{
	struct nft_socket socket = {.mnl = NULL};
	struct route_view view;
	char text[128];
	int rc = look(&socket, want_routing, &view, e);

	nft_socket_close(&socket);
	for (size_t i = 0; rc == 0 && i < view.wanted_count; i++)
		if (!view.present[i])
			nft_difference_tell(differences, NFT_MISSING, "%s",
				describe(text, sizeof text, &view.wanted[i]));
	for (size_t i = 0; rc == 0 && i < view.stale_count; i++)
		nft_difference_tell(differences, NFT_ADDED, "%s", describe(text, sizeof text, &view.stale[i]));
	return rc;
}
