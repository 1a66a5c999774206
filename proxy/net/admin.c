/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/net/admin.h"

#include "redirect/base/json.h"

#include <assert.h>

static void write_text(FILE *out, const char *key, const char *text)
{
	(void)fprintf(out, "\"%s\":", key);
	json_write_string(out, text);
}

static void write_duration(FILE *out, const char *key, int64_t nanoseconds)
{
	(void)fprintf(out, ",\"%s\":\"%lld.%09llds\"", key, (long long)(nanoseconds / 1000000000),
		(long long)(nanoseconds % 1000000000));
}

static void write_mesh(FILE *out, const struct mesh *mesh, enum mesh_mode mode)
{
	(void)fputs("{\"outboundTrafficPolicy\":{", out);
	write_text(out, "mode", mesh_mode_name(mode));
	(void)fputs("},", out);
	write_text(out, "accessLogFile", mesh->access_log_file);
	(void)fputc(',', out);
	write_text(out, "accessLogEncoding", mesh_encoding_name(mesh->access_log_encoding));
	write_duration(out, "connectTimeout", mesh->connect_timeout);
	write_duration(out, "protocolDetectionTimeout", mesh->detection_timeout);
	write_duration(out, "dnsRefreshRate", mesh->dns_refresh_rate);
	(void)fputs(",\"weir\":{", out);
	write_text(out, "verifyDestination", mesh_verify_name(mesh->verify_destination));
	(void)fputs("}}", out);
}

static void write_endpoint(FILE *out, const struct policy_endpoint *endpoint)
{
	char text[ADDRESS_TEXT_SIZE];
	const struct endpoint at = {.address = endpoint->address, .port = endpoint->port};

	if (endpoint->name != NULL)
		json_write_string(out, endpoint->name);
	else
		json_write_string(out, endpoint_format(text, &at));
}

static void write_cluster(FILE *out, const struct policy_cluster *cluster)
{
	(void)fputc('{', out);
	write_text(out, "name", cluster->name);
	(void)fputc(',', out);
	write_text(out, "namespace", cluster->resource->namespace_);
	(void)fputc(',', out);
	write_text(out, "resolution", service_resolution_name(cluster->resolution));
	(void)fprintf(out, ",\"targetPort\":%u,\"endpoints\":[", cluster->target_port);
	for (uint32_t i = 0; i < cluster->endpoint_count; i++) {
		if (i > 0)
			(void)fputc(',', out);
		write_endpoint(out, &cluster->endpoints[i]);
	}
	(void)fputs("]}", out);
}

void admin_write_configuration(struct configuration_source *source, FILE *out)
{
	struct configuration *newest = source != NULL ? configuration_newest(source) : NULL;

	if (newest == NULL) {
		(void)fputs("{\"version\":0}\n", out);
		return;
	}
	(void)fprintf(out, "{\"version\":%llu,\"refused\":%llu,\"mesh\":", (unsigned long long)newest->number,
		(unsigned long long)source->problems);
	write_mesh(out, &newest->mesh, newest->policy->mode);
	(void)fputs(",\"clusters\":[", out);
	for (size_t i = 0; i < newest->policy->cluster_count; i++) {
		if (i > 0)
			(void)fputc(',', out);
		write_cluster(out, newest->policy->clusters[i]);
	}
	(void)fputs("]}\n", out);
	configuration_unref(newest);
}

/* The addresses that a name has now. */
static void write_answer(FILE *out, const struct policy_cluster *cluster, const struct policy_endpoint *endpoint,
	struct resolver *resolver)
{
	const struct answer *answer = resolver_find(resolver, endpoint->name);
	char text[ADDRESS_TEXT_SIZE];

	for (uint16_t i = 0; answer != NULL && i < answer->count; i++) {
		const struct endpoint at = {.address = answer->addresses[i], .port = endpoint->port};

		(void)fprintf(out, "%s::%s::%s\n", cluster->name, endpoint_format(text, &at), endpoint->name);
	}
	if (answer == NULL || answer->count == 0)
		(void)fprintf(out, "%s::-::%s: %s\n", cluster->name, endpoint->name,
			answer == NULL || answer->state == ANSWER_NONE ? "not answered yet" : answer_error_text(answer->error));
	answer_unref(answer);
}

/* Limits, what is in use, and what has been refused, with Envoy's names where it has some. */
static void write_circuit(FILE *out, const struct policy_cluster *cluster, struct circuit *circuit)
{
	static const struct {
		const char *limit;
		const char *used;
		const char *refused;
	} names[] = {
		[CIRCUIT_CONNECTIONS] = {"max_connections", "cx_active", "cx_overflow"},
		[CIRCUIT_PENDING] = {"max_pending_requests", "rq_pending_active", "rq_pending_overflow"},
		[CIRCUIT_REQUESTS] = {"max_requests", "rq_active", "rq_active_overflow"},
		[CIRCUIT_RETRIES] = {"max_retries", "rq_retry_active", "rq_retry_overflow"},
	};

	static_assert(sizeof names / sizeof *names == CIRCUIT_RESOURCE_COUNT, "every resource has its names");
	for (size_t i = 0; i < CIRCUIT_RESOURCE_COUNT; i++) {
		(void)fprintf(out, "%s::default_priority::%s::%u\n", cluster->name, names[i].limit,
			atomic_load(&circuit->limits[i]));
		(void)fprintf(out, "%s::%s::%u\n", cluster->name, names[i].used, atomic_load(&circuit->used[i]));
		(void)fprintf(out, "%s::%s::%llu\n", cluster->name, names[i].refused,
			(unsigned long long)atomic_load(&circuit->refused[i]));
	}
}

void admin_write_clusters(struct configuration_source *source, struct resolver *resolver, FILE *out)
{
	struct configuration *newest = source != NULL ? configuration_newest(source) : NULL;
	char text[ADDRESS_TEXT_SIZE];

	for (size_t i = 0; newest != NULL && i < newest->policy->cluster_count; i++) {
		const struct policy_cluster *cluster = newest->policy->clusters[i];
		struct circuit *circuit = configuration_find_circuit(newest, cluster);

		if (circuit != NULL)
			write_circuit(out, cluster, circuit);
		if (cluster->endpoint_count == 0)
			(void)fprintf(out, "%s::as dialled\n", cluster->name);
		for (uint32_t j = 0; j < cluster->endpoint_count; j++) {
			const struct policy_endpoint *endpoint = &cluster->endpoints[j];
			const struct endpoint at = {.address = endpoint->address, .port = endpoint->port};

			if (endpoint->name != NULL)
				write_answer(out, cluster, endpoint, resolver);
			else
				(void)fprintf(out, "%s::%s\n", cluster->name, endpoint_format(text, &at));
		}
	}
	configuration_unref(newest);
}
