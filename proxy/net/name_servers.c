/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/net/name_servers.h"

#include "proxy/log/warn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* Reads what is new. Returns 1, 0 where nothing is, or -errno. */
static int look(struct name_servers *name_servers)
{
	char *text = NULL;
	size_t length = 0;
	int rc = watch_read(&name_servers->watch, AT_FDCWD, name_servers->path, &text, &length);

	if (rc <= 0)
		return rc;
	name_servers->has_note = servers_read(text, length, &name_servers->servers, &name_servers->note) > 0;
	free(text);
	return 1;
}

static void tell_note(const struct name_servers *name_servers)
{
	if (name_servers->has_note)
		warn("%s: %s", name_servers->path, name_servers->note.text);
}

int name_servers_open(struct name_servers *name_servers, const char *path, struct error *e)
{
	int rc;

	*name_servers = (struct name_servers){.path = path};
	servers_default(&name_servers->servers);
	rc = look(name_servers);
	if (rc == -ENOMEM)
		return error_set(e, ENOMEM, "no memory for %s", path);
	if (rc < 0)
		warn("cannot read %s: %s; 127.0.0.1 is asked for names", path, strerror(-rc));
	tell_note(name_servers);
	return 0;
}

void name_servers_scan(struct name_servers *name_servers, struct resolver *resolver)
{
	struct error e;
	int rc = look(name_servers);

	if (rc < 0 && rc != -ENOMEM)
		warn("cannot read %s: %s; the DNS servers stay as they were", name_servers->path, strerror(-rc));
	if (rc > 0) {
		name_servers->is_due = true;
		name_servers->failed = false;
	}
	/* Somebody may just be writing it: that it names nobody counts when it is still so at the next look. */
	if (!name_servers->is_due || (rc > 0 && name_servers->servers.is_default))
		return;
	rc = resolver_set_servers(resolver, &name_servers->servers, &e);
	if (rc < 0 && !name_servers->failed)
		warn("%s: %s; the DNS servers stay as they were", name_servers->path, e.text);
	name_servers->failed = rc < 0;
	name_servers->is_due = rc < 0;
	if (rc < 0)
		return;
	tell_note(name_servers);
	inform("%s has changed: its DNS servers are asked", name_servers->path);
}
