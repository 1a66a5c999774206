/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/policy/destination_rule.h"

#include "proxy/policy/check.h"
#include "proxy/policy/name.h"

#include <assert.h>
#include <string.h>

#define FIELD_COUNT(fields) (sizeof(fields) / sizeof *(fields))

/* --- tls */

/*
 * Traffic that was to be encrypted, or to carry a certificate, must not leave without; nor must a check be left out. A rule
 * that was refused for it would do just that, so it is taken, and keeps everything back.
 */
static void hold_back(struct reader *r, struct destination_tls *tls, const char *why)
{
	tls->is_unusable = true;
	reader_warn(r, "", "%s; as it is, requests there are answered 503, and other connections refused", why);
}

static void read_mode(struct reader *r, const struct node *node, void *target)
{
	static const char *const words[] = {"DISABLE", "SIMPLE"};
	struct destination_tls *tls = target;

	static_assert(sizeof words / sizeof *words == DESTINATION_TLS_MODE_COUNT, "every mode has a word");
	if (node->type == NODE_SCALAR && (strcmp(node->text, "MUTUAL") == 0 || strcmp(node->text, "ISTIO_MUTUAL") == 0)) {
		tls->mode = DESTINATION_TLS_SIMPLE;
		hold_back(r, tls, *node->text == 'M' ? "tls mode MUTUAL is not supported; valid: DISABLE, SIMPLE"
						     : "tls mode ISTIO_MUTUAL is not supported; valid: DISABLE, SIMPLE");
	} else {
		tls->mode = (enum destination_tls_mode)reader_word(r, node, words, FIELD_COUNT(words), 0);
	}
}

static void read_credential(struct reader *r, const struct node *node, void *target)
{
	(void)node;
	hold_back(r, target, "not supported: name a file with caCertificates");
}

static void read_revocations(struct reader *r, const struct node *node, void *target)
{
	(void)node;
	hold_back(r, target, "lists of revoked certificates are not supported");
}

static void read_tls(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {
		{"mode", read_mode, 0},
		{"sni", reader_text, offsetof(struct destination_tls, sni)},
		{"caCertificates", reader_text, offsetof(struct destination_tls, ca_certificates)},
		{"subjectAltNames", reader_texts, offsetof(struct destination_tls, subject_alt_names)},
		{"insecureSkipVerify", reader_boolean, offsetof(struct destination_tls, insecure_skip_verify)},
		{"credentialName", read_credential, 0},
		{"clientCertificate", NULL, 0},
		{"privateKey", NULL, 0},
		{"caCrl", read_revocations, 0},
	};
	struct destination_tls *tls = target;

	reader_object(r, node, fields, FIELD_COUNT(fields), tls);
	if (tls->insecure_skip_verify && (tls->ca_certificates != NULL || tls->subject_alt_names.count > 0))
		reader_error(r, "insecureSkipVerify", "cannot specify CaCertificates or CredentialName or SubjectAltNames when "
						      "InsecureSkipVerify is set true");
	else if (tls->insecure_skip_verify)
		reader_warn(r, "insecureSkipVerify", "whoever answers is believed: the server's certificate is not checked");
}

static void new_tls(struct reader *r, const struct node *node, void *target)
{
	*(const struct destination_tls **)target = reader_new(r, node, sizeof(struct destination_tls), read_tls);
}

/* --- connection pools */

static void check_limit(struct reader *r, const char *field, const struct number *number)
{
	if (number->is_set && number->value < 0)
		reader_error(r, field, "must not be negative");
}

static void read_keepalive(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {
		{"probes", reader_number, offsetof(struct destination_pool, keepalive_probes)},
		{"time", reader_duration, offsetof(struct destination_pool, keepalive_time)},
		{"interval", reader_duration, offsetof(struct destination_pool, keepalive_interval)},
	};
	struct destination_pool *pool = target;

	pool->keepalive = true;
	reader_object(r, node, fields, FIELD_COUNT(fields), pool);
	check_limit(r, "probes", &pool->keepalive_probes);
	check_duration(r, "time", &pool->keepalive_time);
	check_duration(r, "interval", &pool->keepalive_interval);
}

static void read_tcp_pool(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {
		{"maxConnections", reader_number, offsetof(struct destination_pool, max_connections)},
		{"connectTimeout", reader_duration, offsetof(struct destination_pool, connect_timeout)},
		{"tcpKeepalive", read_keepalive, 0},
		{"maxConnectionDuration", reader_duration, offsetof(struct destination_pool, max_connection_duration)},
		{"idleTimeout", reader_duration, offsetof(struct destination_pool, tcp_idle_timeout)},
	};
	struct destination_pool *pool = target;

	reader_object(r, node, fields, FIELD_COUNT(fields), pool);
	check_limit(r, "maxConnections", &pool->max_connections);
	check_duration(r, "connectTimeout", &pool->connect_timeout);
	check_duration(r, "maxConnectionDuration", &pool->max_connection_duration);
	/* Zero means no limit. */
	if (pool->tcp_idle_timeout.nanoseconds != 0)
		check_duration(r, "idleTimeout", &pool->tcp_idle_timeout);
}

static void read_http_pool(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {
		{"http1MaxPendingRequests", reader_number, offsetof(struct destination_pool, max_pending_requests)},
		{"http2MaxRequests", reader_number, offsetof(struct destination_pool, max_requests)},
		{"maxRequestsPerConnection", reader_number, offsetof(struct destination_pool, max_requests_per_connection)},
		{"maxRetries", reader_number, offsetof(struct destination_pool, max_retries)},
		{"idleTimeout", reader_duration, offsetof(struct destination_pool, http_idle_timeout)},
		{"h2UpgradePolicy", NULL, 0},
		{"useClientProtocol", NULL, 0},
		{"maxConcurrentStreams", NULL, 0},
	};
	struct destination_pool *pool = target;

	reader_object(r, node, fields, FIELD_COUNT(fields), pool);
	check_limit(r, "http1MaxPendingRequests", &pool->max_pending_requests);
	check_limit(r, "http2MaxRequests", &pool->max_requests);
	check_limit(r, "maxRequestsPerConnection", &pool->max_requests_per_connection);
	check_limit(r, "maxRetries", &pool->max_retries);
	check_duration(r, "idleTimeout", &pool->http_idle_timeout);
}

static void read_pool(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {{"tcp", read_tcp_pool, 0}, {"http", read_http_pool, 0}};

	reader_object(r, node, fields, FIELD_COUNT(fields), target);
	if (node->count == 0)
		reader_error(r, "", "connection pool must have at least one field");
}

static void new_pool(struct reader *r, const struct node *node, void *target)
{
	*(const struct destination_pool **)target = reader_new(r, node, sizeof(struct destination_pool), read_pool);
}

/* --- policies */

static void read_policy_port(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {{"number", reader_integer, 0}};
	int32_t *number = target;

	reader_object(r, node, fields, FIELD_COUNT(fields), number);
	check_port(r, "number", *number);
}

static void read_port_policy(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {
		{"port", read_policy_port, offsetof(struct port_traffic_policy, port)},
		{"tls", new_tls, offsetof(struct port_traffic_policy, policy.tls)},
		{"connectionPool", new_pool, offsetof(struct port_traffic_policy, policy.pool)},
		{"loadBalancer", NULL, 0},
		{"outlierDetection", NULL, 0},
	};
	struct port_traffic_policy *policy = target;

	reader_object(r, node, fields, FIELD_COUNT(fields), policy);
	if (policy->port == 0 && !r->failed)
		reader_error(r, "port", "port is required in portLevelSettings");
}

static void read_port_policies(struct reader *r, const struct node *node, void *target)
{
	struct host_traffic_policy *policy = target;

	policy->ports = reader_items(r, node, sizeof *policy->ports, read_port_policy, "port level settings may not be null",
		&policy->port_count);
}

static void read_policy(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {
		{"tls", new_tls, offsetof(struct host_traffic_policy, all.tls)},
		{"connectionPool", new_pool, offsetof(struct host_traffic_policy, all.pool)},
		{"portLevelSettings", read_port_policies, 0},
		{"loadBalancer", NULL, 0},
		{"outlierDetection", NULL, 0},
		{"tunnel", NULL, 0},
		{"proxyProtocol", NULL, 0},
	};

	reader_object(r, node, fields, FIELD_COUNT(fields), target);
	if (node->count == 0)
		reader_error(r, "", "traffic policy must have at least one field");
}

static void read_subset(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {
		{"name", reader_text, offsetof(struct destination_subset, name)},
		{"labels", reader_pairs, offsetof(struct destination_subset, labels)},
		{"trafficPolicy", read_policy, offsetof(struct destination_subset, policy)},
	};
	struct destination_subset *subset = target;

	subset->name = "";
	reader_object(r, node, fields, FIELD_COUNT(fields), subset);
	if (subset->name == NULL)
		return;
	if (*subset->name == '\0')
		reader_error(r, "name", "subset name cannot be empty");
	else if (!name_is_label(subset->name))
		reader_error(r, "name", "subset name is invalid: %s", subset->name);
}

static void read_subsets(struct reader *r, const struct node *node, void *target)
{
	struct destination_rule *rule = target;

	rule->subsets = reader_items(r, node, sizeof *rule->subsets, read_subset, "subset may not be null",
		&rule->subset_count);
}

static void read_selector(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {{"matchLabels", reader_pairs, 0}};
	struct pairs *labels = reader_alloc(r, 1, sizeof *labels);

	if (labels != NULL)
		reader_object(r, node, fields, FIELD_COUNT(fields), labels);
	*(const struct pairs **)target = labels;
}

void destination_rule_read(struct reader *r, const struct node *node, void *target)
{
	static const struct reader_field fields[] = {
		{"host", reader_text, offsetof(struct destination_rule, host)},
		{"trafficPolicy", read_policy, offsetof(struct destination_rule, policy)},
		{"subsets", read_subsets, 0},
		{"exportTo", reader_texts, offsetof(struct destination_rule, export_to)},
		{"workloadSelector", read_selector, offsetof(struct destination_rule, selector)},
	};
	struct destination_rule *rule = target;

	rule->host = "";
	reader_object(r, node, fields, FIELD_COUNT(fields), rule);
	if (rule->host != NULL)
		rule->host = check_host(r, "host", rule->host, true);
	check_export_to(r, &rule->export_to, false);
}

/* --- use */

bool destination_pool_is_limited(const struct destination_pool *pool)
{
	return pool != NULL && (pool->max_connections.value > 0 || pool->max_pending_requests.value > 0 ||
				       pool->max_requests.value > 0 || pool->max_retries.value > 0);
}

const struct destination_subset *destination_rule_subset(const struct destination_rule *rule, const char *name)
{
	for (size_t i = 0; i < rule->subset_count; i++)
		if (strcmp(rule->subsets[i].name, name) == 0)
			return &rule->subsets[i];
	return NULL;
}

static void apply(struct traffic_policy *policy, const struct host_traffic_policy *from, uint16_t port)
{
	if (from->all.tls != NULL)
		policy->tls = from->all.tls;
	if (from->all.pool != NULL)
		policy->pool = from->all.pool;
	for (size_t i = 0; i < from->port_count; i++) {
		if (from->ports[i].port == port) {
			*policy = from->ports[i].policy;
			return;
		}
	}
}

struct traffic_policy destination_rule_policy(const struct destination_rule *rule, const struct destination_subset *subset,
	uint16_t port)
{
	struct traffic_policy policy = {NULL, NULL};

	apply(&policy, &rule->policy, port);
	if (subset != NULL)
		apply(&policy, &subset->policy, port);
	if (policy.tls != NULL && policy.tls->mode == DESTINATION_TLS_DISABLE)
		policy.tls = NULL;
	return policy;
}
