/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resources: each of Istio's messages with the input that earns it, at its line and field; and what is only warned of.
 */
#include "tests/unit/policy_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

#define ISTIO(kind) "apiVersion: networking.istio.io/v1\nkind: " kind "\nmetadata: {name: x}\nspec:\n"
#define GATEWAY "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: x}\nspec:\n"
/* Four of them, with dots, are the longest name that Istio takes. */
#define LABEL63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define PORT80 "  ports: [{number: 80, name: http, protocol: HTTP}]\n"
#define ROUTE "route: [{destination: {host: h.org}}]"

/* `spec` begins in line 5. */
struct message {
	const char *spec;
	const char *text; /* of the problem, from the line on; NULL: nothing is wrong */
};

static void check_messages(const char *head, const struct message *messages, size_t count, enum report_severity severity)
{
	for (size_t i = 0; i < count; i++) {
		struct fixture f;
		char text[8192];

		fixture_start(&f, MESH_REGISTRY_ONLY);
		(void)snprintf(text, sizeof text, "%s%s", head, messages[i].spec);
		fixture_put(&f, "f", text);
		if (messages[i].text == NULL)
			fixture_expect_clean(&f);
		else
			fixture_expect(&f, severity, messages[i].text);
		/* A warning never refuses, and an error always does. */
		assert_int_equal(f.store.files[0].count, messages[i].text != NULL && severity == REPORT_ERROR ? 0 : 1);
		fixture_end(&f);
	}
}

/* --- ServiceEntry */

static void service_entry_errors(void **state)
{
	static const struct message messages[] = {
		{"  hosts: []\n" PORT80, "f:5: ServiceEntry default/x: spec.hosts: service entry must have at least one host"},
		{PORT80, "f:5: ServiceEntry default/x: spec.hosts: service entry must have at least one host"},
		{"  hosts: ['*']\n" PORT80, "f:5: ServiceEntry default/x: spec.hosts[0]: invalid host *"},
		{"  hosts:\n  - a.org\n  - b_c.org\n" PORT80,
			"f:7: ServiceEntry default/x: spec.hosts[1]: domain name \"b_c.org\" invalid (label \"b_c\" invalid)"},
		{"  hosts: [a.org]\n  addresses: [10.0.0.0/33]\n" PORT80,
			"f:6: ServiceEntry default/x: spec.addresses[0]: 10.0.0.0/33 is not a valid CIDR block"},
		{"  hosts: [a.org]\n  addresses: [a.org]\n" PORT80, "spec.addresses[0]: a.org is not a valid IP"},
		{"  hosts: [a.org]\n  addresses: [10.0.0.0/8]\n  resolution: DNS\n" PORT80,
			"f:6: ServiceEntry default/x: spec.addresses: CIDR addresses are allowed only for NONE/STATIC resolution types"},
		{"  hosts: [a.org]\n  workloadSelector: {labels: {a: b}}\n  endpoints: [{address: 1.1.1.1}]\n  resolution: STATIC\n" PORT80,
			"only one of WorkloadSelector or Endpoints is allowed in Service Entry"},
		{"  hosts: [a.org]\n  ports: [null]\n", "spec.ports[0]: service entry port may not be null"},
		{"  hosts: [a.org]\n  ports:\n  - {number: 80, name: a}\n  - {number: 81, name: a}\n",
			"f:8: ServiceEntry default/x: spec.ports[1].name: service entry port name \"a\" already defined"},
		{"  hosts: [a.org]\n  ports: [{number: 80, name: a}, {number: 80, name: b}]\n",
			"spec.ports[1].number: service entry port 80 already defined"},
		{"  hosts: [a.org]\n  ports: [{number: 0, name: a}]\n", "spec.ports[0].number: port number 0 must be in the range 1..65535"},
		{"  hosts: [a.org]\n  ports: [{number: 65536, name: a}]\n", "port number 65536 must be in the range 1..65535"},
		{"  hosts: [a.org]\n  ports: [{number: 80, name: a, targetPort: 70000}]\n",
			"spec.ports[0].targetPort: port number 70000 must be in the range 1..65535"},
		{"  hosts: [a.org]\n  ports: [{number: 80, name: a.b}]\n", "spec.ports[0].name: invalid port name: a.b"},
		{"  hosts: [a.org]\n  ports: [{number: 80}]\n", "spec.ports[0].name: invalid port name: "},
		{"  hosts: [a.org]\n  ports: [{number: 80, name: a, protocol: SMTP}]\n", "unsupported protocol: SMTP"},
		{"  hosts: [a.org]\n  endpoints: [{address: 1.1.1.1}]\n" PORT80, "no endpoints should be provided for resolution type none"},
		{"  hosts: [a.org]\n  resolution: STATIC\n  endpoints: [null]\n" PORT80, "spec.endpoints[0]: endpoint cannot be nil"},
		{"  hosts: [a.org]\n  resolution: STATIC\n  endpoints: [{}]\n" PORT80, "spec.endpoints[0]: address is required"},
		{"  hosts: [a.org]\n  resolution: STATIC\n  endpoints: [{address: b.org}]\n" PORT80,
			"spec.endpoints[0].address: endpoint address \"b.org\" is not a valid IP address"},
		{"  hosts: [a.org]\n  resolution: STATIC\n  endpoints: [{address: 1.1.1.1, ports: {x: 81}}]\n" PORT80,
			"spec.endpoints[0].ports.x: endpoint port 81 is not defined by the service entry"},
		{"  hosts: [a.org]\n  resolution: STATIC\n  endpoints: [{address: 'unix:///s', ports: {http: 81}}]\n" PORT80,
			"unix endpoint unix:///s must not include ports"},
		{"  hosts: [a.org]\n  resolution: STATIC\n  endpoints: [{address: 'unix:///s'}]\n"
		 "  ports: [{number: 80, name: a, protocol: HTTP}, {number: 81, name: b, protocol: HTTP}]\n",
			"exactly 1 service port required for unix endpoints"},
		{"  hosts: ['*.a.org']\n  resolution: DNS\n" PORT80,
			"spec.hosts[0]: hosts must be FQDN if no endpoints are provided for resolution mode DNS"},
		{"  hosts: ['*.a.org']\n  resolution: DNS_ROUND_ROBIN\n" PORT80,
			"hosts must be FQDN if no endpoints are provided for resolution mode DNS_ROUND_ROBIN"},
		{"  hosts: [a.org]\n  resolution: DNS_ROUND_ROBIN\n  endpoints: [{address: a.org}, {address: b.org}]\n" PORT80,
			"there must only be 0 or 1 endpoint for resolution mode DNS_ROUND_ROBIN"},
		{"  hosts: [a.org]\n  resolution: DNS\n  endpoints: [{address: 'a b'}]\n" PORT80,
			"endpoint address \"a b\" is not a valid FQDN or an IP address"},
		{"  hosts: [a.org, b.org]\n  resolution: DNS\n  ports: [{number: 80, name: a, protocol: TCP}]\n",
			"spec.hosts: multiple hosts provided with non-HTTP, non-TLS ports"},
		{"  hosts: [a.org]\n  resolution: DYNAMIC\n" PORT80, "spec.resolution: unsupported resolution type DYNAMIC"},
		{"  hosts: [a.org]\n  exportTo: [a, a]\n" PORT80, "spec.exportTo: duplicate entries in exportTo for entry a"},
		{"  hosts: [a.org]\n  exportTo: [., default]\n" PORT80,
			"duplicate entries in exportTo: . and current namespace default"},
		{"  hosts: [a.org]\n  exportTo: ['*', a]\n" PORT80,
			"cannot have both public (*) and non-public exportTo values for a resource"},
		{"  hosts: [a.org]\n  exportTo: ['~', a]\n" PORT80, "cannot export service entry to no one (~) and someone"},
		{"  hosts: a.org\n" PORT80, "spec.hosts: must be a list"},
		{"  hosts: [1.5]\n" PORT80, "spec.hosts[0]: must be a string: put 1.5 in quotes"},
		{"  hosts: [a.org]\n  ports: [{number: '80', name: a}]\n", "spec.ports[0].number: must be an integer"},
		{"  hosts: [a.org]\n  ports: [{number: 99999999999, name: a}]\n", "spec.ports[0].number: must be an integer"},
		{"  hosts: [a.org]\n  location: EXTERNAL\n" PORT80,
			"spec.location: unknown value \"EXTERNAL\"; valid: MESH_EXTERNAL, MESH_INTERNAL"},
	};

	(void)state;
	check_messages(ISTIO("ServiceEntry"), messages, COUNT(messages), REPORT_ERROR);
}

static void service_entry_warnings(void **state)
{
	static const struct message messages[] = {
		{"  hosts: [a.org]\n  resolution: DNS\n" PORT80, NULL},
		{"  hosts: [a.org]\n  resolution: DNS\n  ports: [{number: 22, name: ssh, protocol: tcp}]\n", NULL},
		{"  hosts: ['*x.org']\n  resolution: NONE\n  location: MESH_INTERNAL\n" PORT80,
			"spec.hosts[0]: partial wildcard \"*x.org\" not allowed"},
		{"  hosts: ['*.a.org']\n  ports: [{number: 22, name: ssh, protocol: TCP}]\n",
			"f:6: ServiceEntry default/x: spec.ports[0]: addresses are required for ports serving TCP (or unset) protocol when "
			"ISTIO_META_DNS_AUTO_ALLOCATE is not set on a proxy"},
		{"  hosts: [a.org]\n  resolution: STATIC\n  endpoints: [{address: 'unix:///s'}]\n" PORT80,
			"f:7: ServiceEntry default/x: spec.endpoints[0].address: unix sockets are not supported, the proxy opens sockets "
			"of IP alone: this endpoint is not used"},
		{"  hosts: [a.org]\n  resolution: DNS\n  subjectAltNames: [b.org]\n" PORT80,
			"spec.subjectAltNames: not supported, and has no effect"},
		{"  hosts: [a.org]\n  workloadSelector: {}\n  resolution: STATIC\n" PORT80,
			"service entry: workload selector specified without labels, will be applied to all services in namespace"},
		{"  hosts: [a.org]\n  workloadSelector: {labels: {a: b}}\n" PORT80,
			"workloadSelector should not be set when resolution mode is NONE"},
		{"  hosts: [a.org, b.org]\n  addresses: [1.1.1.1]\n  resolution: NONE\n" PORT80, NULL},
		{"  hosts: [a.org]\n  resolution: NONE\n" PORT80, "spec.resolution: with NONE an application reaches any address"},
		{"  hosts: [a.org]\n  resolution: DNS\n  ports: [{number: 53, name: dns, protocol: UDP}]\n",
			"UDP does not go through the proxy"},
		{"  hosts: ['*.a.org']\n  resolution: DNS\n  endpoints: [{address: b.org}]\n" PORT80,
			"spec.hosts[0]: every name under *.a.org is sent to the endpoints"},
		{"  hosts: [" LABEL63 "." LABEL63 "." LABEL63 "." LABEL63 "]\n  resolution: DNS\n" PORT80,
			"is a name that DNS cannot be asked for: it has more than 253 bytes, or ends in a number"},
		{"  hosts: [a.org]\n  resolution: DNS\n  endpoints:\n  - address: b.7.\n" PORT80,
			"f:8: ServiceEntry default/x: spec.endpoints[0].address: b.7 is a name that DNS cannot be asked for"},
		{"  hosts: ['1234']\n  resolution: NONE\n  location: MESH_INTERNAL\n" PORT80,
			"f:5: ServiceEntry default/x: spec.hosts[0]: 1234 is a name that DNS cannot be asked for"},
		{"  hosts: [a.org]\n  resolution: STATIC\n" PORT80, "without endpoints nothing can be reached"},
		{"  hosts: [a.org]\n  resolution: DNS\n", "service entry without ports has no effect"},
		{"  hosts: [a.org]\n  resolution: DNS\n  colour: red\n" PORT80,
			"f:7: ServiceEntry default/x: spec.colour: unknown field, ignored"},
		{"  hosts: [a.org]\n  resolution: DNS\n  endpoints: [{address: b.org, network: n}]\n" PORT80,
			"spec.endpoints[0].network: not supported, and has no effect"},
	};

	(void)state;
	check_messages(ISTIO("ServiceEntry"), messages, COUNT(messages), REPORT_WARNING);
}

/* Lists that Kubernetes' schema would not let through, either. */
static void lists_are_bounded(void **state)
{
	static const struct {
		const char *head;
		size_t count;
		const char *problem;
	} cases[] = {
		{"  hosts: [", 257, "spec.hosts: must have at most 256 items"},
		{"  hosts: [a.org]\n  addresses: [", 257, "spec.addresses: must have at most 256 items"},
		{"  hosts: [a.org]\n  exportTo: [", 4097, "spec.exportTo: must have at most 4096 items"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		static char text[65536];
		struct fixture f;
		int used = snprintf(text, sizeof text, "%s%s", ISTIO("ServiceEntry"), cases[i].head);

		for (size_t j = 0; j < cases[i].count; j++)
			used += snprintf(text + used, sizeof text - (size_t)used, "10.0.0.1,");
		(void)snprintf(text + used, sizeof text - (size_t)used, "]\n");
		fixture_start(&f, MESH_REGISTRY_ONLY);
		fixture_put(&f, "f", text);
		fixture_expect(&f, REPORT_ERROR, cases[i].problem);
		fixture_end(&f);
	}
}

/* --- VirtualService */

static void virtual_service_errors(void **state)
{
	static const struct message messages[] = {
		{"  hosts: [h.org]\n", "http, tcp or tls must be provided in virtual service"},
		{"  http: [{" ROUTE "}]\n", "spec.hosts: virtual service must have at least one host"},
		{"  hosts: ['*']\n  http: [{" ROUTE "}]\n",
			"spec.hosts[0]: wildcard host * is not allowed for virtual services bound to the mesh gateway"},
		{"  hosts: [a.org, '*.org']\n  http: [{" ROUTE "}]\n", "duplicate hosts in virtual service: a.org & *.org"},
		{"  hosts: [h.org]\n  http:\n  - timeout: 3s\n",
			"f:7: VirtualService default/x: spec.http[0]: HTTP route, redirect or direct_response is required"},
		{"  hosts: [h.org]\n  http: [{timeout: 0s, " ROUTE "}]\n", "spec.http[0].timeout: duration must be greater than 1ms"},
		{"  hosts: [h.org]\n  http: [{timeout: 1.0001s, " ROUTE "}]\n", "only durations to ms precision are supported"},
		{"  hosts: [h.org]\n  http: [{timeout: 3, " ROUTE "}]\n", "spec.http[0].timeout: must be a duration"},
		{"  hosts: [h.org]\n  http: [{redirect: {uri: /x}, " ROUTE "}]\n", "HTTP route cannot contain both route and redirect"},
		{"  hosts: [h.org]\n  http: [{redirect: {uri: /x}, fault: {abort: {httpStatus: 500, percent: 1}}}]\n",
			"HTTP route cannot contain both fault and redirect"},
		{"  hosts: [h.org]\n  http: [{redirect: {uri: /x}, rewrite: {uri: /y}}]\n",
			"HTTP route rule cannot contain both rewrite and redirect"},
		{"  hosts: [h.org]\n  http: [{redirect: {uri: /x}, directResponse: {status: 200}}]\n",
			"HTTP route rule cannot contain both direct_response and redirect"},
		{"  hosts: [h.org]\n  http: [{directResponse: {status: 200}, " ROUTE "}]\n",
			"HTTP route cannot contain both route and direct_response"},
		{"  hosts: [h.org]\n  http: [{directResponse: {status: 200}, fault: {abort: {httpStatus: 500, percent: 1}}}]\n",
			"HTTP route cannot contain both fault and direct_response"},
		{"  hosts: [h.org]\n  http: [{directResponse: {status: 200}, rewrite: {uri: /y}}]\n",
			"HTTP route rule cannot contain both rewrite and direct_response"},
		{"  hosts: [h.org]\n  http: [{mirror: {host: a.org}, mirrors: [{}], " ROUTE "}]\n",
			"HTTP route cannot contain both mirror and mirrors"},
		{"  hosts: [h.org]\n  http: [{route: [null]}]\n", "spec.http[0].route[0]: weight may not be nil"},
		{"  hosts: [h.org]\n  http: [{route: [{weight: 1}]}]\n", "destination is required"},
		{"  hosts: [h.org]\n  http: [{route: [{destination: {host: h.org}, weight: -1}]}]\n", "weight -1 < 0"},
		{"  hosts: [h.org]\n  http: [{route: [{destination: {host: h.org}}, {destination: {host: h.org}}]}]\n",
			"total destination weight = 0"},
		{"  hosts: [h.org]\n  http: [{route: [{destination: {host: '*'}}]}]\n", "invalid destination host *"},
		{"  hosts: [h.org]\n  http: [{route: [{destination: {host: h.org, subset: A_}}]}]\n", "subset name is invalid: A_"},
		{"  hosts: [h.org]\n  http: [{route: [{destination: {host: h.org, port: {number: 0}}}]}]\n",
			"spec.http[0].route[0].destination.port.number: port number 0 must be in the range 1..65535"},
		{"  hosts: [h.org]\n  http: [{retries: {attempts: -1}, " ROUTE "}]\n", "attempts cannot be negative"},
		{"  hosts: [h.org]\n  http: [{retries: {perTryTimeout: 1s}, " ROUTE "}]\n",
			"http retry policy configured when attempts are set to 0 (disabled)"},
		{"  hosts: [h.org]\n  http: [{retries: {attempts: 1, retryOn: '5xx,never'}, " ROUTE "}]\n",
			"\"never\" is not a valid retryOn policy"},
		{"  hosts: [h.org]\n  http: [{fault: {}, " ROUTE "}]\n", "HTTP fault injection must have an abort and/or a delay"},
		{"  hosts: [h.org]\n  http: [{fault: {abort: {httpStatus: 199, percentage: {value: 1}}}, " ROUTE "}]\n",
			"HTTP status 199 is not in range 200-599"},
		{"  hosts: [h.org]\n  http: [{fault: {abort: {grpcStatus: NONE, percentage: {value: 1}}}, " ROUTE "}]\n",
			"gRPC status \"NONE\" is not supported"},
		{"  hosts: [h.org]\n  http: [{fault: {delay: {fixedDelay: 1s, percentage: {value: 101}}}, " ROUTE "}]\n",
			"percentage 101.000000 is not in range 0..100"},
		{"  hosts: [h.org]\n  http: [{redirect: {}}]\n", "redirect must specify URI, authority, scheme, or port"},
		{"  hosts: [h.org]\n  http: [{redirect: {uri: /x, redirectCode: 200}}]\n",
			"200 is not a valid redirect code, must be 3xx"},
		{"  hosts: [h.org]\n  http: [{redirect: {scheme: ftp}}]\n", "invalid redirect scheme, must be \"http\" or \"https\""},
		{"  hosts: [h.org]\n  http: [{rewrite: {}, " ROUTE "}]\n", "rewrite must specify at least one of URI"},
		{"  hosts: [h.org]\n  http: [{rewrite: {uri: /a, uriRegexRewrite: {match: a, rewrite: b}}, " ROUTE "}]\n",
			"rewrite may only contain one of URI or UriRegexRewrite"},
		{"  hosts: [h.org]\n  http: [{rewrite: {uriRegexRewrite: {match: a}}, " ROUTE "}]\n",
			"UriRegexRewrite requires both Rewrite and Match fields to be specified"},
		{"  hosts: [h.org]\n  http: [{directResponse: {status: 600}}]\n", "HTTP status 600 is not in range 200-599"},
		{"  hosts: [h.org]\n  http: [{directResponse: {status: 200, body: {bytes: '?'}}}]\n", "is not base64"},
		{"  hosts: [h.org]\n  http: [{match: [{method: {prefix: ''}}], " ROUTE "}]\n",
			"spec.http[0].match[0].method: \"method\": prefix string match should not be empty"},
		{"  hosts: [h.org]\n  http: [{match: [{uri: {regex: ''}}], " ROUTE "}]\n",
			"\"uri\": regex string match should not be empty"},
		{"  hosts: [h.org]\n  http: [{match: [{uri: {regex: '('}}], " ROUTE "}]\n",
			"\"uri\": error parsing regexp: missing closing ): `(`; Istio uses RE2 style regex-based match"},
		{"  hosts: [h.org]\n  http: [{match: [{uri: {exact: a, prefix: b}}], " ROUTE "}]\n",
			"only one of exact, prefix and regex may be set"},
		{"  hosts: [h.org]\n  http: [{match: [{headers: {x: null}}], " ROUTE "}]\n", "header match x cannot be null"},
		{"  hosts: [h.org]\n  http: [{match: [{port: 70000}], " ROUTE "}]\n", "port number 70000 must be in the range 1..65535"},
		{"  hosts: [h.org]\n  http: [{match: [{sourceNamespace: A_}], " ROUTE "}]\n", "sourceNamespace match A_ is invalid"},
		{"  hosts: [h.org]\n  http: [{rewrite: {authority: a}, headers: {request: {set: {host: b}}}, " ROUTE "}]\n",
			"authority header cannot be set multiple times: have \"a\", attempting to set \"b\""},
		{"  hosts: [h.org]\n  http: [{headers: {request: {set: {'a b': c}}}, " ROUTE "}]\n",
			"header name a b is not a valid header name"},
		{"  hosts: [h.org]\n  http: [{headers: {request: {remove: [':path']}}, " ROUTE "}]\n",
			"invalid header \":path\": header cannot have \":\" prefix or be \"host\""},
		{"  hosts: [h.org]\n  http: [{headers: {response: {set: {a: \"b\\r\\nc: d\"}}}, " ROUTE "}]\n",
			"header value holds a line break"},
		{"  hosts: [h.org]\n  http: [{delegate: {name: d}}]\n", "delegate is not supported"},
		{"  hosts: [h.org]\n  tls: [{" ROUTE "}]\n", "TLS route must have at least one match condition"},
		{"  hosts: [h.org]\n  tls: [{match: [null], " ROUTE "}]\n", "TLS match may not be null"},
		{"  hosts: [h.org]\n  tls: [{match: [{port: 443}], " ROUTE "}]\n", "TLS match must have at least one SNI host"},
		{"  hosts: [h.org]\n  tls: [{match: [{sniHosts: [h.org]}]}]\n", "spec.tls[0].route: TLS route is required"},
		{"  hosts: [h.org, a.org]\n  tls: [{match: [{sniHosts: [b.org]}], " ROUTE "}]\n",
			"SNI host \"b.org\" is not a compatible subset of any of the virtual service hosts: [h.org, a.org]"},
		{"  hosts: [h.org]\n  tls: [{match: [{sniHosts: [h.org], destinationSubnets: [x]}], " ROUTE "}]\n",
			"spec.tls[0].match[0].destinationSubnets[0]: x is not a valid IP"},
		{"  hosts: [h.org]\n  tcp: [{match: [null], " ROUTE "}]\n", "tcp match may not be nil"},
		{"  hosts: [h.org]\n  tcp: [{match: [{port: 1}]}]\n", "TCP route is required"},
		{"  hosts: [h.org]\n  exportTo: ['~']\n  http: [{" ROUTE "}]\n", "invalid value for exportTo: \"~\""},
	};

	(void)state;
	check_messages(ISTIO("VirtualService"), messages, COUNT(messages), REPORT_ERROR);
}

static void virtual_service_warnings(void **state)
{
	static const struct message messages[] = {
		{"  hosts: [h.org]\n  http: [{timeout: 3s, " ROUTE "}]\n", NULL},
		{"  hosts: [h.org]\n  http: [{" ROUTE "}, {name: b, " ROUTE "}]\n",
			"spec.http[1]: virtualService rule b not used (only the last rule can have no matches)"},
		{"  hosts: [h.org]\n  http: [{match: [{uri: {prefix: /a}}], " ROUTE "}, {match: [{uri: {prefix: /a}}], " ROUTE "}]\n",
			"virtualService rule #1 match #0 is not used (duplicate/overlapping match in rule #0)"},
		{"  hosts: [h.org]\n  gateways: [istio/ingress]\n  http: [{" ROUTE "}]\n", "without \"mesh\" among them it has no effect"},
		{"  hosts: [h.org]\n  gateways: [istio/ingress, mesh]\n  http: [{" ROUTE "}]\n", NULL},
		{"  hosts: [h.org]\n  http: [{fault: {abort: {httpStatus: 500}}, " ROUTE "}]\n", "without it no request is affected"},
		{"  hosts: [h.org]\n  http: [{fault: {abort: {percent: 1}}, " ROUTE "}]\n", "abort configured, but error type not set"},
		{"  hosts: [h.org]\n  http: [{mirror: {host: a.org}, " ROUTE "}]\n", "spec.http[0].mirror: not supported, and has no effect"},
		{"  hosts: [h.org]\n  http: [{redirect: {uri: /x, redirectCode: 304}}]\n", "304 redirects nobody"},
		{"  hosts: [h.org]\n  http: [{match: [{headers: {method: {exact: GET}}}], " ROUTE "}]\n",
			"a header of this name is meant, not the field method of match"},
		{"  hosts: [h.org]\n  http: [{headers: {request: {add: {a: '%HOSTNAME%'}}}, " ROUTE "}]\n",
			"% and what follows is sent as it is"},
		{"  hosts: [h.org]\n  tls: [{match: [{sniHosts: [1.2.3.4]}], " ROUTE "}]\n",
			"using an IP address (\"1.2.3.4\") goes against SNI spec and most clients do not support this"},
	};

	(void)state;
	check_messages(ISTIO("VirtualService"), messages, COUNT(messages), REPORT_WARNING);
}

/* --- HTTPRoute */

#define PARENT "  parentRefs: [{kind: ServiceEntry, group: networking.istio.io, name: p}]\n"
#define BACKEND "backendRefs: [{kind: Hostname, group: networking.istio.io, name: h.org, port: 80}]"

static void http_route_errors(void **state)
{
	static const struct message messages[] = {
		{PARENT "  rules: [{backendRefs: [{kind: Hostname, group: networking.istio.io, name: h.org}]}]\n",
			"spec.rules[0].backendRefs[0].port: port is required in backendRef"},
		{PARENT "  rules: [{backendRefs: [{kind: Hostname, group: networking.istio.io, name: h.org, namespace: n, port: 80}]}]\n",
			"namespace may not be set with Hostname type"},
		{PARENT "  rules: [{timeouts: {request: 1s, backendRequest: 2s}, " BACKEND "}]\n",
			"backendRequest timeout cannot be longer than request timeout"},
		{PARENT "  rules: [{timeouts: {request: 1.5s}, " BACKEND "}]\n", "must be a duration of the Gateway API (GEP-2257)"},
		{PARENT "  rules: [{matches: [{path: {value: a}}], " BACKEND "}]\n",
			"value must be an absolute path and start with '/'"},
		{PARENT "  rules: [{matches: [{path: {type: Suffix, value: /a}}], " BACKEND "}]\n",
			"unknown value \"Suffix\"; valid: Exact, RegularExpression"},
		{PARENT "  rules: [{matches: [{method: get}], " BACKEND "}]\n", "unknown value \"get\"; valid: GET, HEAD"},
		{PARENT "  rules: [{matches: [{headers: [{value: a}]}], " BACKEND "}]\n", "headers[0].name: name is required"},
		{PARENT "  rules: [{filters: [{type: Magic}], " BACKEND "}]\n", "unsupported filter type \"Magic\""},
		{PARENT "  rules: [{filters: [{type: ExtensionRef, extensionRef: {}}], " BACKEND "}]\n",
			"unsupported filter type \"ExtensionRef\""},
		{PARENT "  rules: [{filters: [{type: URLRewrite}], " BACKEND "}]\n", "urlRewrite: is required with type URLRewrite"},
		{PARENT "  rules: [{filters: [{type: RequestRedirect, requestRedirect: {statusCode: 200}}]}]\n",
			"200 is not a valid redirect code"},
		{PARENT "  rules: [{filters: [{type: RequestRedirect, requestRedirect: {scheme: https}}], " BACKEND "}]\n",
			"RequestRedirect filter must not be used together with backendRefs"},
		{"  parentRefs: [{kind: ServiceEntry, group: networking.istio.io}]\n  rules: [{" BACKEND "}]\n",
			"spec.parentRefs[0].name: name is required"},
	};

	(void)state;
	check_messages(GATEWAY, messages, COUNT(messages), REPORT_ERROR);
}

static void http_route_warnings(void **state)
{
	static const struct message messages[] = {
		{PARENT "  hostnames: [x.org]\n  rules: [{timeouts: {request: 3s}, " BACKEND "}]\n", NULL},
		{"  parentRefs: [{name: gateway}]\n  rules: [{" BACKEND "}]\n", "parent Gateway of group \"gateway.networking.k8s.io\" has no effect"},
		{PARENT "  rules: [{backendRefs: [{name: s, port: 80}]}]\n", "backend(s.default.svc.cluster.local) not found"},
		{PARENT "  rules: [{backendRefs: [{kind: Pod, group: x, name: s, port: 80}]}]\n",
			"referencing unsupported backendRef: group \"x\" kind \"Pod\""},
		{PARENT "  rules: [{}]\n", "without backendRefs requests get 500"},
		{PARENT "  rules: [{filters: [{type: RequestMirror, requestMirror: {}}], " BACKEND "}]\n", "RequestMirror is not supported"},
		{"  parentRefs: [{kind: ServiceEntry, group: networking.istio.io, name: p, sectionName: s}]\n  rules: [{" BACKEND "}]\n",
			"spec.parentRefs[0].sectionName: not supported"},
	};

	(void)state;
	check_messages(GATEWAY, messages, COUNT(messages), REPORT_WARNING);
}

/* --- DestinationRule and Sidecar */

static void destination_rule_errors(void **state)
{
	static const struct message messages[] = {
		{"  trafficPolicy: {tls: {mode: SIMPLE}}\n", "spec.host: empty domain name not allowed"},
		{"  host: h.org\n  trafficPolicy: {}\n", "spec.trafficPolicy: traffic policy must have at least one field"},
		{"  host: h.org\n  trafficPolicy: {connectionPool: {}}\n", "connection pool must have at least one field"},
		{"  host: h.org\n  trafficPolicy: {tls: {mode: STRICT}}\n", "unknown value \"STRICT\"; valid: DISABLE, SIMPLE"},
		{"  host: h.org\n  trafficPolicy: {tls: {mode: SIMPLE, insecureSkipVerify: true, caCertificates: /ca}}\n",
			"cannot specify CaCertificates or CredentialName or SubjectAltNames when InsecureSkipVerify is set true"},
		{"  host: h.org\n  trafficPolicy: {connectionPool: {tcp: {connectTimeout: 0s}}}\n", "duration must be greater than 1ms"},
		{"  host: h.org\n  trafficPolicy: {connectionPool: {tcp: {maxConnections: -1}}}\n", "must not be negative"},
		{"  host: h.org\n  trafficPolicy: {connectionPool: {tcp: {tcpKeepalive: {probes: -1}}}}\n", "must not be negative"},
		{"  host: h.org\n  trafficPolicy: {portLevelSettings: [{tls: {mode: SIMPLE}}]}\n", "port is required in portLevelSettings"},
		{"  host: h.org\n  subsets: [{labels: {a: b}}]\n", "subset name cannot be empty"},
		{"  host: h.org\n  subsets: [{name: A_}]\n", "subset name is invalid: A_"},
	};

	(void)state;
	check_messages(ISTIO("DestinationRule"), messages, COUNT(messages), REPORT_ERROR);
}

/* What the proxy cannot do for a host is told, and nothing is sent there: a rule that is not there would send it bare. */
static void destination_rules_that_hold_back(void **state)
{
	static const struct message messages[] = {
		{"  host: h.org\n  trafficPolicy: {tls: {mode: MUTUAL}}\n", "tls.mode: tls mode MUTUAL is not supported; valid: DISABLE, SIMPLE; "
			"as it is, requests there are answered 503"},
		{"  host: h.org\n  trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}\n", "tls mode ISTIO_MUTUAL is not supported"},
		{"  host: h.org\n  trafficPolicy: {tls: {mode: SIMPLE, credentialName: c}}\n", "not supported: name a file with caCertificates"},
		{"  host: h.org\n  trafficPolicy: {tls: {mode: SIMPLE, caCrl: /crl}}\n", "lists of revoked certificates are not supported"},
	};

	(void)state;
	check_messages(ISTIO("DestinationRule"), messages, COUNT(messages), REPORT_WARNING);
}

static void sidecar_errors(void **state)
{
	static const struct message messages[] = {
		{"  {}\n", "sidecar: empty configuration provided"},
		{"  outboundTrafficPolicy: {mode: ALLOW_ANY, egressProxy: {host: h.org}}\n",
			"spec.outboundTrafficPolicy.egressProxy: egressProxy is not supported"},
		{"  egress: [{}]\n", "sidecar: egress listener must contain at least one host"},
		{"  egress: [{hosts: [h.org]}]\n", "spec.egress[0].hosts[0]: host must be of form namespace/dnsName"},
		{"  egress: [{hosts: [./h]}]\n", "short names (non FQDN) are not allowed"},
		{"  egress: [{hosts: [A_/h.org]}]\n", "invalid namespace value \"A_\" in sidecar"},
		{"  egress: [{hosts: ['*/*']}, {hosts: ['*/*']}]\n", "sidecar: egress can have only one catch all listener"},
		{"  egress: [{hosts: ['*/*']}, {port: {number: 80}, hosts: ['*/*']}]\n",
			"sidecar: the egress listener with empty port should be the last listener in the list"},
		{"  egress: [{port: {number: 80}, hosts: ['*/*']}, {port: {number: 80}, hosts: ['*/*']}]\n",
			"sidecar: ports on egress listeners must be unique"},
		{"  outboundTrafficPolicy: {mode: BLOCK}\n", "unknown value \"BLOCK\"; valid: REGISTRY_ONLY, ALLOW_ANY, AUDIT"},
	};

	(void)state;
	check_messages(ISTIO("Sidecar"), messages, COUNT(messages), REPORT_ERROR);
}

/* --- heads */

static void heads(void **state)
{
	static const struct {
		const char *text;
		enum report_severity severity;
		const char *problem; /* NULL: none */
		size_t count;        /* of resources that hold */
	} cases[] = {
		{"kind: ServiceEntry\n", REPORT_ERROR, "f:1: apiVersion and kind are required", 0},
		{"[]\n", REPORT_ERROR, "apiVersion and kind are required", 0},
		{"apiVersion: v1\nkind: ConfigMap\n", REPORT_WARNING, "f:2: kind: ConfigMap of v1 has no effect here", 0},
		{"apiVersion: networking.istio.io/v2\nkind: Sidecar\nmetadata: {name: x}\nspec: {}\n", REPORT_ERROR,
			"f:1: Sidecar default/x: apiVersion: unknown version v2 of networking.istio.io; valid: v1, v1beta1, v1alpha3", 0},
		{"apiVersion: gateway.networking.k8s.io/v1alpha2\nkind: HTTPRoute\nmetadata: {name: x}\nspec: {}\n", REPORT_ERROR,
			"unknown version v1alpha2 of gateway.networking.k8s.io; valid: v1, v1beta1", 0},
		{"apiVersion: networking.istio.io/v1\nkind: Sidecar\nspec: {}\n", REPORT_ERROR, "metadata.name: name is required", 0},
		{"apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: x}\n", REPORT_ERROR, "spec: spec is required", 0},
		{"apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: a/b}\nspec: {}\n", REPORT_ERROR,
			"metadata.name: name may have small letters, digits, \"-\" and \".\" only", 0},
		{"apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: a, namespace: n/m}\nspec: {}\n", REPORT_ERROR,
			"metadata.namespace: n/m is not a valid namespace", 0},
		{"# nothing\n", REPORT_WARNING, NULL, 0},
		{"---\n---\nnull\n", REPORT_WARNING, NULL, 0},
		{"apiVersion: v1\nkind: List\nitems:\n"
		 "- {apiVersion: networking.istio.io/v1, kind: Sidecar, metadata: {name: a}, spec: {outboundTrafficPolicy: {mode: AUDIT}}}\n"
		 "- {apiVersion: networking.istio.io/v1, kind: Sidecar, metadata: {name: b, namespace: n, labels: {l: m}, annotations: {}},\n"
		 "   spec: {outboundTrafficPolicy: {mode: AUDIT}}, status: {a: b}}\n",
			REPORT_WARNING, NULL, 2},
		{"{\"apiVersion\": \"networking.istio.io/v1\", \"kind\": \"Sidecar\", \"metadata\": {\"name\": \"a\"},\n"
		 "\t\"spec\": {\"outboundTrafficPolicy\": {\"mode\": \"ALLOW_ANY\"}}}\n",
			REPORT_WARNING, NULL, 1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct fixture f;

		fixture_start(&f, MESH_REGISTRY_ONLY);
		fixture_put(&f, "f", cases[i].text);
		if (cases[i].problem != NULL)
			fixture_expect(&f, cases[i].severity, cases[i].problem);
		else
			fixture_expect_clean(&f);
		assert_int_equal(f.store.files[0].count, cases[i].count);
		fixture_end(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(service_entry_errors),
		cmocka_unit_test(service_entry_warnings),
		cmocka_unit_test(lists_are_bounded),
		cmocka_unit_test(virtual_service_errors),
		cmocka_unit_test(virtual_service_warnings),
		cmocka_unit_test(http_route_errors),
		cmocka_unit_test(http_route_warnings),
		cmocka_unit_test(destination_rule_errors),
		cmocka_unit_test(destination_rules_that_hold_back),
		cmocka_unit_test(sidecar_errors),
		cmocka_unit_test(heads),
	};

	return cmocka_run_group_tests_name("policy_resource", tests, NULL, NULL);
}
