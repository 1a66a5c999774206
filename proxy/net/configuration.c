/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/net/configuration.h"

#include "proxy/log/warn.h"
#include "redirect/base/fnv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Bytes of the mesh settings. */
#define MESH_SIZE_MAX (1u << 20)

struct configuration *configuration_ref(struct configuration *configuration)
{
	if (configuration != NULL)
		(void)atomic_fetch_add_explicit(&configuration->references, 1, memory_order_relaxed);
	return configuration;
}

void configuration_unref(struct configuration *configuration)
{
	if (configuration == NULL || atomic_fetch_sub_explicit(&configuration->references, 1, memory_order_acq_rel) > 1)
		return;
	for (size_t i = 0; i < configuration->tls_count; i++)
		tls_context_unref(configuration->tls[i].context);
	free(configuration->tls);
	for (uint32_t i = 0; configuration->circuits != NULL && i < configuration->policy->circuit_count; i++)
		circuit_unref(configuration->circuits[i]);
	free(configuration->circuits);
	policy_unref(configuration->policy);
	format_unref(configuration->format);
	arena_free(&configuration->arena);
	free(configuration);
}

struct circuit *configuration_find_circuit(const struct configuration *configuration,
	const struct policy_cluster *cluster)
{
	return cluster != NULL && cluster->circuit != 0 ? configuration->circuits[cluster->circuit - 1] : NULL;
}

/* --- TLS */

static const struct configuration_tls *find_tls(const struct configuration *configuration,
	const struct destination_tls *settings)
{
	for (size_t i = 0; i < configuration->tls_count; i++)
		if (configuration->tls[i].settings == settings)
			return &configuration->tls[i];
	return NULL;
}

struct tls_context *configuration_find_tls(const struct configuration *configuration, const struct destination_tls *settings)
{
	const struct configuration_tls *found = find_tls(configuration, settings);

	return found != NULL ? found->context : NULL;
}

/* Without its files a destination cannot be reached; the others can. Returns 0 or -ENOMEM. */
static int make_context(const struct policy_cluster *cluster, struct report *report, struct tls_context **ret_context)
{
	const struct report_place place = {.resource = cluster->name};
	const struct destination_tls *tls = cluster->traffic.tls;
	const struct tls_settings settings = {.sni = tls->sni, .ca_file = tls->ca_certificates,
		.subject_alt_names = tls->subject_alt_names.items, .subject_alt_name_count = tls->subject_alt_names.count,
		.alpn = "http/1.1", .insecure = tls->insecure_skip_verify};
	struct error e;
	int rc = tls_context_new(&settings, ret_context, &e);

	if (rc < 0 && rc != -ENOMEM)
		report_add(report, REPORT_WARNING, &place, "TLS towards %s: %s", cluster->host, e.text);
	return rc == -ENOMEM ? rc : 0;
}

/* Makes the contexts of all clusters that are spoken to in TLS. Returns 0 or -ENOMEM. */
static int make_contexts(struct configuration *configuration, struct report *report)
{
	const struct policy *policy = configuration->policy;

	for (size_t i = 0; i < policy->cluster_count; i++) {
		const struct destination_tls *settings = policy->clusters[i]->traffic.tls;
		struct configuration_tls *larger;

		if (settings == NULL || find_tls(configuration, settings) != NULL)
			continue;
		larger = realloc(configuration->tls, (configuration->tls_count + 1) * sizeof *larger);
		if (larger == NULL)
			return -ENOMEM;
		configuration->tls = larger;
		larger += configuration->tls_count++;
		*larger = (struct configuration_tls){.settings = settings};
		if (!settings->is_unusable && make_context(policy->clusters[i], report, &larger->context) < 0)
			return -ENOMEM;
	}
	return 0;
}

size_t configuration_files(const struct configuration *configuration, const char ***ret_files)
{
	size_t count = 0;

	*ret_files = calloc(configuration->tls_count + 1, sizeof **ret_files);
	for (size_t i = 0; i < configuration->tls_count && *ret_files != NULL; i++)
		if (configuration->tls[i].settings->ca_certificates != NULL)
			(*ret_files)[count++] = configuration->tls[i].settings->ca_certificates;
	return count;
}

/* --- reading */

/* Tells the first problems of a report, and frees it. */
static void tell(struct configuration_source *source, struct report *report, size_t count)
{
	for (size_t i = 0; i < count; i++)
		warn("%s%s", report->problems[i].severity == REPORT_WARNING ? "warning: " : "", report->problems[i].text);
	source->problems += report->errors;
	report_free(report);
}

/* Reads a whole file. The caller frees it. Returns 0 or -errno. */
static int read_file(const char *path, char **ret_text, size_t *ret_length, struct error *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text = fd >= 0 ? malloc(MESH_SIZE_MAX) : NULL;
	size_t used = 0;
	ssize_t n = -1;
	int code;

	while (text != NULL && used < MESH_SIZE_MAX && (n = read(fd, text + used, MESH_SIZE_MAX - used)) > 0)
		used += (size_t)n;
	code = n < 0 ? errno : used == MESH_SIZE_MAX ? EFBIG : 0;
	if (fd >= 0)
		(void)close(fd);
	if (code != 0) {
		free(text);
		return error_set_errno(e, code, "cannot read %s", path);
	}
	*ret_text = text;
	*ret_length = used;
	return 0;
}

int configuration_read_labels(struct arena *arena, const char *path, struct pairs *ret_labels, struct error *e)
{
	char *text;
	size_t length;
	int rc = read_file(path, &text, &length, e);

	if (rc < 0)
		return rc;
	rc = labels_read(arena, text, length, ret_labels, e);
	free(text);
	return rc < 0 ? error_wrap(e, rc, "%s", path) : 0;
}

/* Reads mesh settings into a version. Returns 0 or -errno. */
static int read_mesh(const struct configuration_source *source, const char *text, size_t length,
	struct configuration *configuration, struct report *report, struct error *e)
{
	struct mesh *mesh = &configuration->mesh;
	int rc = 0;

	mesh_default(mesh);
	if (text != NULL)
		rc = mesh_read(&configuration->arena, source->mesh_path, text, length, report, mesh);
	if (rc < 0)
		return error_set(e, -rc, "%s", report->count > 0 ? report->problems[report->count - 1].text : "no memory");
	rc = format_new(mesh->access_log_encoding == MESH_JSON ? FORMAT_JSON : FORMAT_TEXT, mesh->access_log_format,
		&configuration->format, e);
	return rc < 0 ? error_wrap(e, rc, "%s", source->mesh_path) : 0;
}

/* Whether the text can be used. What is wrong with it is told, but for what the error says. */
static int check_mesh(struct configuration_source *source, const char *text, size_t length, struct error *e)
{
	struct report report = {.problems = NULL};
	struct configuration *trial = calloc(1, sizeof *trial);
	int rc;

	if (trial == NULL)
		return error_set(e, ENOMEM, "no memory for the mesh settings");
	trial->references = 1;
	rc = read_mesh(source, text, length, trial, &report, e);
	configuration_unref(trial);
	tell(source, &report, rc < 0 && report.errors > 0 ? report.count - 1 : report.count);
	return rc;
}

/*
 * Takes up the file of the mesh settings. Returns 1 where it has changed and can be used, 0 where it is as it was, good
 * or bad, or -errno.
 */
static int scan_mesh(struct configuration_source *source, struct error *e)
{
	char *text = NULL;
	size_t length = 0;
	uint64_t content;
	int rc;

	if (source->mesh_path == NULL)
		return 0;
	rc = read_file(source->mesh_path, &text, &length, e);
	content = rc < 0 ? fnv_add(FNV_START, e->text, strlen(e->text)) : fnv_add(FNV_START, text, length);
	if (content == source->mesh_content) {
		free(text);
		return 0;
	}
	if (rc == 0)
		rc = check_mesh(source, text, length, e);
	if (rc != -ENOMEM)
		source->mesh_content = content;
	if (rc < 0) {
		free(text);
		return rc;
	}
	free(source->mesh_text);
	source->mesh_text = text;
	source->mesh_length = length;
	return 1;
}

static int scan_directory(struct configuration_source *source, struct error *e)
{
	struct report report = {.problems = NULL};
	int rc = source->directory != NULL ? loader_scan(&source->loader, &source->store, &report, e) : 0;

	tell(source, &report, report.count);
	return rc;
}

static void publish(struct configuration_source *source, struct configuration *fresh)
{
	struct configuration *old;

	(void)pthread_mutex_lock(&source->lock);
	old = source->newest;
	fresh->number = (old != NULL ? old->number : 0) + 1;
	source->newest = fresh;
	atomic_store_explicit(&source->number, fresh->number, memory_order_release);
	(void)pthread_mutex_unlock(&source->lock);
	configuration_unref(old);
}

/* Makes a version of the last good settings and resources, and publishes it. Returns 1 or -errno. */
static int renew(struct configuration_source *source, struct error *e)
{
	struct report known = {.problems = NULL};
	struct report report = {.problems = NULL};
	struct configuration *fresh = calloc(1, sizeof *fresh);
	int rc;

	if (fresh == NULL)
		return error_set(e, ENOMEM, "no memory for a new configuration");
	fresh->references = 1;
	rc = read_mesh(source, source->mesh_text, source->mesh_length, fresh, &known, e);
	report_free(&known);
	if (rc == 0)
		fresh->policy = policy_build(&source->store, &fresh->mesh, &source->options, &report);
	/* The circuits last: from here on the limits are in force. */
	if (rc == 0 && (fresh->policy == NULL || make_contexts(fresh, &report) < 0 ||
			       circuits_update(&source->circuits, fresh->policy, &fresh->circuits) < 0))
		rc = error_set(e, ENOMEM, "no memory for a new configuration");
	if (rc < 0) {
		report_free(&report);
		configuration_unref(fresh);
		return rc;
	}
	source->problems += notices_tell(&source->notices, &report);
	publish(source, fresh);
	return 1;
}

/* Neither of the two holds up the other: what is wrong with one leaves it as it was. */
int configuration_scan(struct configuration_source *source, struct error *e)
{
	bool is_first = source->newest == NULL;
	int mesh = scan_mesh(source, e);
	int files;

	if (mesh < 0 && is_first)
		return mesh;
	if (mesh < 0)
		warn("%s; the mesh settings stay as they were", e->text);
	files = scan_directory(source, e);
	/* Memory may have run out behind a file that has changed. */
	source->is_stale |= is_first || mesh > 0 || files > 0 || files == -ENOMEM;
	if (!source->is_stale || (files < 0 && is_first))
		return files;
	files = renew(source, e);
	source->is_stale = files < 0;
	return files;
}

int configuration_open(struct configuration_source *source, const char *mesh_path, const char *directory,
	const struct policy_options *options, struct error *e)
{
	int rc;

	*source = (struct configuration_source){.mesh_path = mesh_path, .directory = directory, .options = *options};
	(void)pthread_mutex_init(&source->lock, NULL);
	if (mesh_path == NULL && directory == NULL)
		return 0;
	if (store_init(&source->store, options->namespace_) < 0 ||
		(directory != NULL && loader_init(&source->loader, directory) < 0))
		return error_set(e, ENOMEM, "no memory for the configuration");
	rc = configuration_scan(source, e);
	return rc < 0 ? rc : 0;
}

uint64_t configuration_number(const struct configuration_source *source)
{
	return atomic_load_explicit(&source->number, memory_order_acquire);
}

struct configuration *configuration_newest(struct configuration_source *source)
{
	struct configuration *newest;

	(void)pthread_mutex_lock(&source->lock);
	newest = configuration_ref(source->newest);
	(void)pthread_mutex_unlock(&source->lock);
	return newest;
}

void configuration_close(struct configuration_source *source)
{
	configuration_unref(source->newest);
	free(source->mesh_text);
	notices_free(&source->notices);
	circuits_free(&source->circuits);
	loader_free(&source->loader);
	store_free(&source->store);
	(void)pthread_mutex_destroy(&source->lock);
}
