/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way of an application. A fresh namespace is the common case, and must not wait: the table is created exclusively,
 * in a transaction that only adds. Deleting a table makes the closing of the socket wait some milliseconds for the
 * kernel's grace period; so only where the kernel says that a table is there already is it read back, and only where
 * it differs do a deletion and the new table go out, as one transaction.
 *
 * Others may apply to the same namespace at the same time. Whoever comes second finds a table and compares; where it
 * changes while it is read, it is read again.
 */
#include "redirect/nft/table.h"

#include "redirect/nft/compare.h"
#include "redirect/nft/encode.h"
#include "redirect/nft/socket.h"
#include "redirect/nft/state.h"

#include <errno.h>
#include <string.h>

/* How often a table that keeps changing is read, and a transaction that the kernel asks for again is sent. */
#define ATTEMPT_MAX 32

/* What is missing where the kernel does not know tables of the inet family, nat chains or redirection. */
static bool is_unsupported(int code, const struct nft_object *refused)
{
	if (code == -EPROTONOSUPPORT || code == -EAFNOSUPPORT || code == -EOPNOTSUPP)
		return true;
	return code == -ENOENT && (strcmp(refused->kind, "chain") == 0 || strcmp(refused->kind, "rule") == 0);
}

/* Sends one finished transaction on a socket of its own. */
static int commit(const struct nft_batch *batch, struct nft_object *ret_refused, struct error *e)
{
	struct nft_socket socket;
	int rc = nft_socket_open(&socket, e);

	if (rc < 0)
		return rc;
	rc = nft_socket_commit(&socket, batch, ret_refused, e);
	nft_socket_close(&socket);
	return rc;
}

/* `deletes` a table that is there; without `want`, nothing comes in its place. */
static int build(struct nft_batch *batch, const struct ruleset *want, bool deletes)
{
	int rc = nft_batch_init(batch);

	if (rc == 0 && deletes)
		rc = nft_encode_delete(batch);
	if (rc == 0 && want != NULL)
		rc = nft_encode_ruleset(want, !deletes, batch);
	return rc == 0 ? nft_batch_end(batch) : rc;
}

static int transact(const struct ruleset *want, bool deletes, struct error *e)
{
	struct nft_object refused = {.kind = "", .name = ""};
	struct nft_batch batch;
	int rc = build(&batch, want, deletes);

	if (rc < 0)
		(void)error_set(e, ENOMEM, "no memory for the transaction");
	for (int attempt = 0; rc == 0 && attempt < ATTEMPT_MAX; attempt++) {
		rc = commit(&batch, &refused, e);
		if (rc != -EAGAIN)
			break;
		rc = attempt + 1 < ATTEMPT_MAX ? 0 : rc;
	}
	nft_batch_free(&batch);
	if (rc < 0 && is_unsupported(rc, &refused))
		rc = error_wrap(e, -EPROTONOSUPPORT, "the kernel has no nf_tables with nat in the inet family");
	return rc;
}

static int check_once(const struct ruleset *want, struct nft_differences *differences, struct error *e)
{
	struct nft_socket socket;
	struct nft_state state;
	int rc = nft_socket_open(&socket, e);

	if (rc < 0)
		return rc;
	rc = nft_state_read(&socket, &state, e);
	if (rc == 0 && nft_compare(want, &state, differences) < 0)
		rc = error_set(e, ENOMEM, "no memory to compare the rules");
	nft_state_free(&state);
	nft_socket_close(&socket);
	return rc;
}

int nft_table_check(const struct ruleset *want, struct nft_differences *ret_differences, struct error *e)
{
	int rc = -EINTR;

	for (int attempt = 0; rc == -EINTR && attempt < ATTEMPT_MAX; attempt++)
		rc = check_once(want, ret_differences, e);
	return rc;
}

/* What to do about a table that is there. */
static int settle(const struct ruleset *want, bool force, enum nft_outcome *ret_outcome, struct error *e)
{
	struct nft_differences differences = {.count = 1};
	int rc = force ? 0 : nft_table_check(want, &differences, e);

	if (rc < 0)
		return rc;
	*ret_outcome = differences.count == 0 ? NFT_UNCHANGED : NFT_REPLACED;
	return differences.count == 0 ? 0 : transact(want, true, e);
}

static int remove_table(enum nft_outcome *ret_outcome, struct error *e)
{
	int rc = transact(NULL, true, e);

	*ret_outcome = rc == -ENOENT ? NFT_UNCHANGED : NFT_REMOVED;
	return rc == -ENOENT ? 0 : rc;
}

/* Acknowledgements were lost: the kernel knows whether it committed. */
static int confirm(const struct ruleset *want, struct error *e)
{
	struct nft_differences differences;
	struct error lost = *e;
	int rc = nft_table_check(want, &differences, e);

	if (rc == 0 && differences.count > 0) {
		*e = lost;
		rc = -ENOBUFS;
	}
	return rc;
}

int nft_table_apply(const struct ruleset *want, bool force, enum nft_outcome *ret_outcome, struct error *e)
{
	int rc = -ENOENT;

	if (want == NULL)
		return remove_table(ret_outcome, e);
	/* Between "it is there" and the deletion it may have gone, and between both may have come: then, once more. */
	for (int attempt = 0; (rc == -ENOENT || rc == -EEXIST) && attempt < ATTEMPT_MAX; attempt++) {
		*ret_outcome = NFT_CREATED;
		rc = transact(want, false, e);
		if (rc == -EEXIST)
			rc = settle(want, force, ret_outcome, e);
	}
	return rc == -ENOBUFS ? confirm(want, e) : rc;
}
