/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a kernel answers to a transaction: the first message that it refuses is named, wherever it stands, although only
 * the last one asks for an answer; nothing is done then; and nothing is left to be read, so the socket can go on.
 */
#include "redirect/nft/batch.h"
#include "redirect/nft/socket.h"

#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#define MESSAGE_MAX 5

/* A message about a table: one that is made, or one that is to be deleted and was never there. */
struct step {
	const char *table; /* NULL: no more */
	bool refused;
};

static int enter_fresh_namespace(void **state)
{
	(void)state;
	return unshare(CLONE_NEWNET);
}

static void add(struct nft_batch *batch, const struct step *step)
{
	struct nft_object object = {.kind = "table", .name = step->table};
	struct nlmsghdr *message = nft_batch_message(batch, step->refused ? NFT_MSG_DELTABLE : NFT_MSG_NEWTABLE,
		step->refused ? 0 : NLM_F_CREATE | NLM_F_EXCL, object);

	assert_non_null(message);
	mnl_attr_put_strz(message, NFTA_TABLE_NAME, step->table);
	nft_batch_finish_message(batch, message);
}

static int commit(struct nft_socket *socket, const struct step *steps, struct nft_object *ret_refused, struct error *e)
{
	struct nft_batch batch;
	uint8_t byte;
	int rc;

	assert_int_equal(nft_batch_init(&batch), 0);
	for (size_t i = 0; i < MESSAGE_MAX && steps[i].table != NULL; i++)
		add(&batch, &steps[i]);
	assert_int_equal(nft_batch_end(&batch), 0);
	rc = nft_socket_commit(socket, &batch, ret_refused, e);
	nft_batch_free(&batch);
	assert_int_equal(recv(mnl_socket_get_fd(socket->mnl), &byte, sizeof byte, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
	return rc;
}

static void the_first_refusal_is_named(void **state)
{
	static const struct {
		struct step steps[MESSAGE_MAX];
		int rc;
		const char *refused; /* NULL: none */
	} rows[] = {
		{{{"a", false}, {"b", false}, {"c", false}}, 0, NULL},
		{{{"first", true}, {"d", false}, {"e", false}}, -ENOENT, "first"},
		{{{"d", false}, {"middle", true}, {"e", false}}, -ENOENT, "middle"},
		{{{"d", false}, {"e", false}, {"last", true}}, -ENOENT, "last"},
		{{{"d", false}, {"one", true}, {"e", false}, {"two", true}}, -ENOENT, "one"},
		{{{"one", true}, {"two", true}, {"three", true}}, -ENOENT, "one"},
		/* None of them was made. */
		{{{"d", false}, {"e", false}}, 0, NULL},
		{{{"f", false}}, 0, NULL},
		{{{"f", false}}, -EEXIST, "f"},
	};
	struct nft_socket socket;
	struct error e;

	(void)state;
	assert_int_equal(nft_socket_open(&socket, &e), 0);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct nft_object refused = {.name = NULL};

		assert_int_equal(commit(&socket, rows[i].steps, &refused, &e), rows[i].rc);
		if (rows[i].refused == NULL)
			continue;
		assert_string_equal(refused.name, rows[i].refused);
		assert_non_null(strstr(e.text, rows[i].refused));
	}
	nft_socket_close(&socket);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_refusal_is_named),
	};

	return cmocka_run_group_tests_name("commit", tests, enter_fresh_namespace, NULL);
}
