/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/policy/suggest.h"

#include "proxy/policy/name.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Of a host, what fits into the name of a resource, with the port. Names may have dots, so no two hosts share one. */
#define HOST_PART_MAX 240

/* The beginning, up to the name, and the end of a document. Hosts and addresses have no byte that JSON escapes. */
#define HEAD "{\"apiVersion\":\"networking.istio.io/v1\",\"kind\":\"ServiceEntry\",\"metadata\":{\"name\":\""
#define TAIL "\"location\":\"MESH_EXTERNAL\"}}"

/* The host that can be declared, in `out`. Returns false where an address, or nothing that is a host, was told. */
static bool find_host(const struct policy_facts *facts, char out[NAME_LENGTH_MAX + 1])
{
	size_t length = facts->name_length;
	struct address address;
	int canonical;

	if (facts->name == NULL || (facts->protocol != POLICY_HTTP && facts->protocol != POLICY_TLS))
		return false;
	if (facts->protocol == POLICY_HTTP)
		length = name_of_authority(facts->name, length);
	canonical = name_canonical(out, facts->name, length);
	if (canonical < 0)
		return false;
	out[canonical] = '\0';
	return memchr(out, '\0', (size_t)canonical) == NULL && name_check_full(out, NULL) == 0 &&
	       address_parse(out, (size_t)canonical, &address) < 0;
}

/* Whether a request's host is the very address that was dialled. */
static bool is_for_address(const struct policy_facts *facts, const char *address)
{
	char host[ADDRESS_TEXT_SIZE + 2];
	size_t length;

	if (facts->protocol != POLICY_HTTP || facts->name == NULL)
		return false;
	length = name_of_authority(facts->name, facts->name_length);
	(void)snprintf(host, sizeof host, address_is_ipv4(&facts->destination.address) ? "%s" : "[%s]", address);
	return strlen(host) == length && strncasecmp(host, facts->name, length) == 0;
}

/*
 * What tells no host is declared by its address. The entry's host is then a name for the log, and nothing else. Requests to
 * an address stay requests: as TCP they would be for any host there.
 */
static const char *suggest_address(char out[SUGGEST_SIZE], const struct policy_facts *facts)
{
	char text[ADDRESS_TEXT_SIZE];
	char label[ADDRESS_TEXT_SIZE];
	char endpoints[ADDRESS_TEXT_SIZE + 40] = "";
	bool http;
	unsigned port = facts->destination.port;

	(void)address_format(text, &facts->destination.address);
	http = is_for_address(facts, text);
	if (http)
		(void)snprintf(endpoints, sizeof endpoints, "\"endpoints\":[{\"address\":\"%s\"}],", text);
	memcpy(label, text, sizeof label);
	for (char *c = label; *c != '\0'; c++)
		if (*c == '.' || *c == ':')
			*c = '-';
	(void)snprintf(out, SUGGEST_SIZE,
		HEAD "ip-%s-%u\"},\"spec\":{\"hosts\":[\"ip-%s-%u.internal\"],\"addresses\":[\"%s\"],"
		"\"ports\":[{\"number\":%u,\"name\":\"%s\",\"protocol\":\"%s\"}],\"resolution\":\"%s\",%s" TAIL,
		label, port, label, port, text, port, http ? "http" : "tcp", http ? "HTTP" : "TCP", http ? "STATIC" : "NONE",
		endpoints);
	return out;
}

const char *policy_suggest(char out[SUGGEST_SIZE], const struct policy_facts *facts)
{
	char host[NAME_LENGTH_MAX + 1];
	bool http = facts->protocol == POLICY_HTTP;
	unsigned port = facts->destination.port;

	if (!find_host(facts, host))
		return suggest_address(out, facts);
	(void)snprintf(out, SUGGEST_SIZE,
		HEAD "%.*s-%u\"},\"spec\":{\"hosts\":[\"%s\"],"
		"\"ports\":[{\"number\":%u,\"name\":\"%s\",\"protocol\":\"%s\"}],\"resolution\":\"DNS\"," TAIL,
		HOST_PART_MAX, host, port, host, port, http ? "http" : "https", http ? "HTTP" : "HTTPS");
	return out;
}
