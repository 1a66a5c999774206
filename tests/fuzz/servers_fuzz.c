/* SPDX-License-Identifier: Apache-2.0 */
/* A resolv.conf: whatever it says, there are servers, and each can be asked. */
#include "tests/fuzz/fuzz.h"

#include "proxy/dns/servers.h"

#include <string.h>

static void check_server(const struct server *server)
{
	const uint8_t *bytes = server->endpoint.address.bytes;
	bool is_link_local = bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
	size_t scope = strnlen(server->scope, sizeof server->scope);

	FUZZ_CHECK(server->endpoint.port != 0);
	FUZZ_CHECK(scope < sizeof server->scope);
	FUZZ_CHECK(is_link_local == (scope > 0));
	/* It becomes a part of a list in c-ares's words. */
	FUZZ_CHECK(strcspn(server->scope, ",[]:%/ ") == scope);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct servers servers;
	struct error e = {.text = ""};
	int rc = servers_read((const char *)data, size, &servers, &e);

	FUZZ_CHECK(rc == 0 || rc == 1);
	FUZZ_CHECK((rc == 1) == (e.text[0] != '\0'));
	FUZZ_CHECK(servers.count >= 1 && servers.count <= SERVERS_MAX);
	FUZZ_CHECK(servers.timeout >= 1 && servers.timeout <= SERVERS_TIMEOUT_MAX);
	FUZZ_CHECK(servers.attempts >= 1 && servers.attempts <= SERVERS_ATTEMPTS_MAX);
	FUZZ_CHECK(!servers.is_default || (rc == 1 && servers.count == 1));
	for (size_t i = 0; i < servers.count; i++)
		check_server(&servers.items[i]);
	return 0;
}
