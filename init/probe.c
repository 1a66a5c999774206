/* SPDX-License-Identifier: Apache-2.0 */
#include "init/probe.h"

#include "redirect/plan/value.h"

#include <errno.h>
#include <string.h>

static int read_id(const struct options *options, enum option option, const char *name, bool *ret_given, uint32_t *ret_id,
	struct error *e)
{
	const char *text = options->text[option];
	char quote[ERROR_QUOTE_SIZE];

	*ret_given = text != NULL;
	if (text == NULL || value_read_number(text, strlen(text), 0, VALUE_ID_MAX, ret_id) == NULL)
		return 0;
	return error_set(e, EINVAL, "flag --%s is %s; valid: one ID, 0 to %u", name, error_quote(quote, text, strlen(text)),
		VALUE_ID_MAX);
}

static int read_oif(const char *text, uint8_t ret_oif[INTERVAL_KEY_MAX], struct error *e)
{
	struct interval names;
	char quote[ERROR_QUOTE_SIZE];

	if (text == NULL)
		return 0;
	if (value_read_interface(text, strlen(text), &names) != NULL || memcmp(names.first, names.last, INTERVAL_KEY_MAX) != 0)
		return error_set(e, EINVAL, "flag --oif is %s; valid: the name of one interface",
			error_quote(quote, text, strlen(text)));
	memcpy(ret_oif, names.first, INTERVAL_KEY_MAX);
	return 0;
}

int probe_read(const struct options *options, struct explain_probe *ret_probe, struct error *e)
{
	struct explain_probe probe = {.oif = {0}};
	int rc = explain_read_destination(options->text[OPTION_EXPLAIN], &probe.destination, e);

	if (rc < 0)
		return error_wrap(e, rc, "flag --explain");
	rc = read_id(options, OPTION_UID, "uid", &probe.has_uid, &probe.uid, e);
	if (rc == 0)
		rc = read_id(options, OPTION_GID, "gid", &probe.has_gid, &probe.gid, e);
	if (rc == 0)
		rc = read_oif(options->text[OPTION_OIF], probe.oif, e);
	*ret_probe = probe;
	return rc;
}
