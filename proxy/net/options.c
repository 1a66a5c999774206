/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/net/options.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A day, in seconds. */
#define DRAIN_TIME_MAX 86400

enum flag {
	FLAG_PORT,
	FLAG_READY_PORT,
	FLAG_METRICS_PORT,
	FLAG_ADMIN_SOCKET,
	FLAG_ACCESS_LOG,
	FLAG_CONCURRENCY,
	FLAG_DRAIN_TIME,
	FLAG_RUN_AS,
	FLAG_ALLOW_ROOT,
	FLAG_HELP,
	FLAG_VERSION,
	FLAG_MESH_CONFIG,
	FLAG_CONFIG_DIR,
	FLAG_RESOLV_CONF,
	FLAG_LOG_LEVEL,
	FLAG_NAMESPACE,
	FLAG_POD_LABELS,
	FLAG_COUNT
};

static const struct spec {
	const char *name;
	bool has_value;
	const char *help;
} specs[] = {
	[FLAG_PORT] = {"port", true, "PORT  where redirected connections arrive (15001)"},
	[FLAG_READY_PORT] = {"ready-port", true, "PORT  of GET /healthz/ready (15021)"},
	[FLAG_METRICS_PORT] = {"metrics-port", true, "PORT  of GET /stats/prometheus (15090)"},
	[FLAG_ADMIN_SOCKET] = {"admin-socket", true, "PATH  of a Unix socket: POST /quitquitquit drains and exits"},
	[FLAG_ACCESS_LOG] = {"access-log", true, "FILE  \"\" for none (accessLogFile, or /dev/stdout); SIGHUP opens it anew"},
	[FLAG_CONCURRENCY] = {"concurrency", true, "N  workers, 1 to 64 (1)"},
	[FLAG_DRAIN_TIME] = {"drain-time", true, "S  at SIGTERM, seconds for connections to end (5)"},
	[FLAG_RUN_AS] = {"run-as", true, "UID:GID  become these, when started as root"},
	[FLAG_ALLOW_ROOT] = {"allow-root", false, "stay root, when started as root"},
	[FLAG_HELP] = {"help", false, "print this"},
	[FLAG_VERSION] = {"version", false, "print the version"},
	[FLAG_MESH_CONFIG] = {"mesh-config", true, "FILE  mesh settings, as Istio's MeshConfig names them"},
	[FLAG_CONFIG_DIR] = {"config-dir", true, "DIR  ServiceEntry, VirtualService ... in .yaml, .yml and .json files"},
	[FLAG_RESOLV_CONF] = {"resolv-conf", true, "FILE  whom to ask for names (/etc/resolv.conf)"},
	[FLAG_NAMESPACE] = {"namespace", true, "NS  the pod's, for exportTo and Sidecar (default)"},
	[FLAG_POD_LABELS] = {"pod-labels", true, "FILE  the pod's labels, as the downward API writes them"},
	[FLAG_LOG_LEVEL] = {"log-level", true, "L  of stderr: off, warning (default), info"},
};
static_assert(sizeof specs / sizeof *specs == FLAG_COUNT, "every flag has a row");

static bool read_digits(const char *text, size_t length, uint32_t lowest, uint32_t highest, uint32_t *ret_number)
{
	uint64_t number = 0;

	for (size_t i = 0; i < length; i++) {
		if (text[i] < '0' || text[i] > '9' || number > highest)
			return false;
		number = number * 10 + (uint64_t)(text[i] - '0');
	}
	if (length == 0 || number < lowest || number > highest)
		return false;
	*ret_number = (uint32_t)number;
	return true;
}

static int take_number(const char *name, const char *text, uint32_t lowest, uint32_t highest, uint32_t *ret_number,
	struct error *e)
{
	char quote[ERROR_QUOTE_SIZE];

	if (read_digits(text, strlen(text), lowest, highest, ret_number))
		return 0;
	return error_set(e, EINVAL, "--%s is %s; valid: a number from %u to %u", name,
		error_quote(quote, text, strlen(text)), lowest, highest);
}

static int take_run_as(const char *text, struct options *options, struct error *e)
{
	char quote[ERROR_QUOTE_SIZE];
	size_t colon = strcspn(text, ":");

	if (text[colon] != ':' || !read_digits(text, colon, 1, UINT32_MAX - 1, &options->uid) ||
		!read_digits(text + colon + 1, strlen(text + colon + 1), 1, UINT32_MAX - 1, &options->gid))
		return error_set(e, EINVAL, "--run-as is %s; valid: UID:GID, both numbers above 0, as 1337:1337",
			error_quote(quote, text, strlen(text)));
	options->run_as = true;
	return 0;
}

static int take_drain_time(const char *text, struct options *options, struct error *e)
{
	uint32_t seconds;
	int rc = take_number("drain-time", text, 0, DRAIN_TIME_MAX, &seconds, e);

	if (rc == 0)
		options->drain_time = (int64_t)seconds * 1000;
	return rc;
}

static int take(enum flag flag, const char *text, struct options *options, struct error *e)
{
	char quote[ERROR_QUOTE_SIZE];

	switch (flag) {
	case FLAG_PORT:
		return take_number("port", text, 1, UINT16_MAX, &options->port, e);
	case FLAG_READY_PORT:
		return take_number("ready-port", text, 1, UINT16_MAX, &options->ready_port, e);
	case FLAG_METRICS_PORT:
		return take_number("metrics-port", text, 1, UINT16_MAX, &options->metrics_port, e);
	case FLAG_ADMIN_SOCKET:
		options->admin_socket = text;
		return 0;
	case FLAG_MESH_CONFIG:
		options->mesh_config = text;
		return 0;
	case FLAG_CONFIG_DIR:
		options->config_dir = text;
		return 0;
	case FLAG_RESOLV_CONF:
		options->resolv_conf = text;
		return 0;
	case FLAG_NAMESPACE:
		options->namespace_ = text;
		return 0;
	case FLAG_POD_LABELS:
		options->pod_labels = text;
		return 0;
	case FLAG_LOG_LEVEL:
		if (warn_read_level(text, &options->log_level))
			return 0;
		return error_set(e, EINVAL, "--log-level is %s; valid: off, warning, info",
			error_quote(quote, text, strlen(text)));
	case FLAG_ACCESS_LOG:
		options->access_log = text;
		return 0;
	case FLAG_CONCURRENCY:
		return take_number("concurrency", text, 1, OPTIONS_CONCURRENCY_MAX, &options->concurrency, e);
	case FLAG_DRAIN_TIME:
		return take_drain_time(text, options, e);
	case FLAG_RUN_AS:
		return take_run_as(text, options, e);
	case FLAG_ALLOW_ROOT:
		options->allow_root = true;
		return 0;
	case FLAG_HELP:
		options->help = true;
		return 0;
	case FLAG_VERSION:
		options->version = true;
		return 0;
	case FLAG_COUNT:
		break;
	}
	return -EINVAL;
}

static int read_flag(const char *argument, const char *next, bool *ret_used_next, struct options *options,
	struct error *e)
{
	char quote[ERROR_QUOTE_SIZE];
	const char *name = argument + 2;
	size_t length = strcspn(name, "=");

	*ret_used_next = false;
	for (enum flag f = 0; strncmp(argument, "--", 2) == 0 && f < FLAG_COUNT; f++) {
		if (strlen(specs[f].name) != length || memcmp(specs[f].name, name, length) != 0)
			continue;
		if (!specs[f].has_value && name[length] == '=')
			return error_set(e, EINVAL, "--%s takes no value", specs[f].name);
		if (!specs[f].has_value)
			return take(f, "", options, e);
		if (name[length] == '=')
			return take(f, name + length + 1, options, e);
		if (next == NULL)
			return error_set(e, EINVAL, "--%s needs a value: %s", specs[f].name, specs[f].help);
		*ret_used_next = true;
		return take(f, next, options, e);
	}
	return error_set(e, EINVAL, "unknown argument %s; --help lists the flags",
		error_quote(quote, argument, strlen(argument)));
}

/* --- the environment */

/* A truth value as Go's strconv.ParseBool reads it, which reads Istio's. */
static int read_truth(const char *variable, bool *ret, struct error *e)
{
	static const char *const words[] = {"1", "t", "T", "true", "TRUE", "True", "0", "f", "F", "false", "FALSE", "False"};
	static const size_t count = sizeof words / sizeof *words;
	const char *text = getenv(variable);
	char quote[ERROR_QUOTE_SIZE];

	for (size_t i = 0; text != NULL && i < count; i++) {
		if (strcmp(text, words[i]) != 0)
			continue;
		*ret = i < count / 2;
		return 0;
	}
	if (text == NULL || *text == '\0')
		return 0;
	return error_set(e, EINVAL, "%s is %s; valid: true or false", variable, error_quote(quote, text, strlen(text)));
}

/* One number with its unit, as "90s"; moves on behind it. Returns milliseconds, or -1. */
static int64_t read_span(const char **text)
{
	static const struct {
		const char *name;
		int64_t milliseconds;
	} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 3600 * 1000}};
	size_t digits = strspn(*text, "0123456789");
	const char *unit = *text + digits;
	uint32_t number;

	if (!read_digits(*text, digits, 0, DRAIN_TIME_MAX * 1000u, &number))
		return -1;
	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		size_t length = strlen(units[i].name);

		if (strncmp(unit, units[i].name, length) != 0 || (unit[length] >= 'a' && unit[length] <= 'z'))
			continue;
		*text = unit + length;
		return number * units[i].milliseconds;
	}
	return -1;
}

/* A duration as Istio's variables have it: "5s", "1m30s". */
static int read_duration(const char *variable, int64_t *ret, struct error *e)
{
	const char *text = getenv(variable);
	const char *next = text;
	char quote[ERROR_QUOTE_SIZE];
	int64_t sum = 0;

	if (text == NULL || *text == '\0')
		return 0;
	while (*next != '\0' && sum >= 0 && sum <= DRAIN_TIME_MAX * INT64_C(1000)) {
		int64_t span = read_span(&next);

		sum = span < 0 ? -1 : sum + span;
	}
	if (sum < 0 || sum > DRAIN_TIME_MAX * INT64_C(1000))
		return error_set(e, EINVAL, "%s is %s; valid: a duration from 0s to 24h, as 5s or 1m30s", variable,
			error_quote(quote, text, strlen(text)));
	*ret = sum;
	return 0;
}

static int read_environment(struct options *options, struct error *e)
{
	int64_t least = options->drain_time;
	int rc = read_truth("EXIT_ON_ZERO_ACTIVE_CONNECTIONS", &options->drain_to_zero, e);

	if (rc == 0)
		rc = read_duration("MINIMUM_DRAIN_DURATION", &least, e);
	if (rc == 0 && options->drain_to_zero)
		options->drain_time = least;
	return rc;
}

int options_read(int argc, char *const argv[], struct options *ret, struct error *e)
{
	*ret = (struct options){.port = 15001, .ready_port = 15021, .metrics_port = 15090,
		.admin_socket = "", .resolv_conf = "/etc/resolv.conf", .namespace_ = "default", .log_level = WARN_WARNING, .concurrency = 1, .drain_time = 5000};
	for (int i = 1; i < argc; i++) {
		bool used_next;
		int rc = read_flag(argv[i], i + 1 < argc ? argv[i + 1] : NULL, &used_next, ret, e);

		if (rc < 0)
			return rc;
		i += used_next;
	}
	return read_environment(ret, e);
}

void options_write_help(FILE *out)
{
	(void)fputs("weir-proxy: passes redirected connections on to where they were going, and logs each\n\n", out);
	for (enum flag f = 0; f < FLAG_COUNT; f++)
		(void)fprintf(out, "  --%-14s %s\n", specs[f].name, specs[f].help);
	(void)fputs("\nVariables, as Istio's proxy has them:\n"
		    "  EXIT_ON_ZERO_ACTIVE_CONNECTIONS  true: a drain lasts until no connection is left, and --drain-time at least\n"
		    "  MINIMUM_DRAIN_DURATION           then in the place of --drain-time, as 5s\n",
		out);
	(void)fputs("\nExit status: 0 after SIGTERM or SIGINT; 1 cannot start; 2 bad arguments\n", out);
}
