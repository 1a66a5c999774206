/* SPDX-License-Identifier: Apache-2.0 */
#include "init/probe.h"

#include "redirect/plan/value.h"

#include <errno.h>
#include <string.h>

static int read_number(const struct options *options, enum option option, const char *name, uint32_t highest,
	bool *ret_given, uint32_t *ret_number, struct error *e)
{
	const char *text = options->text[option];
	char quote[ERROR_QUOTE_SIZE];

	*ret_given = text != NULL;
	if (text == NULL || value_read_number(text, strlen(text), 0, highest, ret_number) == NULL)
		return 0;
	return error_set(e, EINVAL, "flag --%s is %s; valid: one %s, 0 to %u", name,
		error_quote(quote, text, strlen(text)), highest == VALUE_ID_MAX ? "ID" : "number", highest);
}

static int read_interface(const struct options *options, enum option option, const char *name,
	uint8_t ret_name[INTERVAL_KEY_MAX], struct error *e)
{
	const char *text = options->text[option];
	struct interval names;
	char quote[ERROR_QUOTE_SIZE];

	if (text == NULL)
		return 0;
	if (value_read_interface(text, strlen(text), &names) != NULL ||
		memcmp(names.first, names.last, INTERVAL_KEY_MAX) != 0)
		return error_set(e, EINVAL, "flag --%s is %s; valid: the name of one interface", name,
			error_quote(quote, text, strlen(text)));
	memcpy(ret_name, names.first, INTERVAL_KEY_MAX);
	return 0;
}

static int read_source(const char *text, struct explain_probe *probe, struct error *e)
{
	char quote[ERROR_QUOTE_SIZE];

	probe->has_source = text != NULL;
	if (text == NULL || address_parse(text, strlen(text), &probe->source) == 0)
		return 0;
	return error_set(e, EINVAL, "flag --source is %s; valid: one address", error_quote(quote, text, strlen(text)));
}

/* What comes in has no user here. */
static int check_direction(const struct options *options, const struct explain_probe *probe, struct error *e)
{
	if (explain_is_inbound(probe) && (probe->has_uid || probe->has_gid || options->text[OPTION_OIF] != NULL))
		return error_set(e, EINVAL, "--iif and --uid, --gid or --oif cannot go together: what comes in has none of them");
	return 0;
}

int probe_read(const struct options *options, struct explain_probe *ret_probe, struct error *e)
{
	struct explain_probe probe = {.oif = {0}, .udp = options->on[OPTION_UDP]};
	bool has_mark;
	int rc = explain_read_destination(options->text[OPTION_EXPLAIN], &probe.destination, e);

	if (rc < 0)
		return error_wrap(e, rc, "flag --explain");
	rc = read_number(options, OPTION_UID, "uid", VALUE_ID_MAX, &probe.has_uid, &probe.uid, e);
	if (rc == 0)
		rc = read_number(options, OPTION_GID, "gid", VALUE_ID_MAX, &probe.has_gid, &probe.gid, e);
	if (rc == 0)
		rc = read_number(options, OPTION_MARK, "mark", UINT32_MAX, &has_mark, &probe.mark, e);
	if (rc == 0)
		rc = read_interface(options, OPTION_OIF, "oif", probe.oif, e);
	if (rc == 0)
		rc = read_interface(options, OPTION_IIF, "iif", probe.iif, e);
	if (rc == 0)
		rc = read_source(options->text[OPTION_SOURCE], &probe, e);
	if (rc == 0)
		rc = check_direction(options, &probe, e);
	*ret_probe = probe;
	return rc;
}
