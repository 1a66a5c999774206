/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way of an application. A fresh namespace is the common case, and must not wait: the table is created exclusively,
 * in a transaction that only adds. A transaction that deletes a table, or that the kernel takes back, waits some
 * milliseconds for the kernel's grace period. So the kernel is asked first whether a table is there; one that is, is
 * read back, and only where it differs do a deletion and the new table go out, as one transaction.
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

/* How often a table that keeps changing is read, and an application that something came in between of is tried. */
#define ATTEMPT_MAX 32

const char *nft_outcome_name(enum nft_outcome outcome)
{
	static const char *const names[] = {
		[NFT_UNCHANGED] = "unchanged", [NFT_CREATED] = "created", [NFT_REPLACED] = "replaced",
		[NFT_REMOVED] = "removed"};

	return names[outcome];
}

/* What is missing where the kernel does not know tables of the inet family, nat chains or redirection. */
static bool is_unsupported(int code, const struct nft_object *refused)
{
	if (code == -EPROTONOSUPPORT || code == -EAFNOSUPPORT || code == -EOPNOTSUPP)
		return true;
	return code == -ENOENT && (strcmp(refused->kind, "chain") == 0 || strcmp(refused->kind, "rule") == 0);
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

static int transact(struct nft_socket *socket, const struct ruleset *want, bool deletes, struct error *e)
{
	struct nft_object refused = {.kind = "", .name = ""};
	struct nft_batch batch;
	int rc = build(&batch, want, deletes);

	if (rc < 0)
		(void)error_set(e, ENOMEM, "no memory for the transaction");
	else
		rc = nft_socket_commit(socket, &batch, &refused, e);
	nft_batch_free(&batch);
	if (rc < 0 && is_unsupported(rc, &refused))
		rc = error_wrap(e, -EPROTONOSUPPORT, "the kernel has no nf_tables with nat in the inet family");
	return rc;
}

/* Reads the table, again where it changes meanwhile. The caller frees the state, whatever is returned. */
static int read_state(struct nft_state *ret_state, struct error *e)
{
	int rc = -EINTR;

	*ret_state = (struct nft_state){.exists = false};
	for (int attempt = 0; rc == -EINTR && attempt < ATTEMPT_MAX; attempt++) {
		struct nft_socket socket;

		nft_state_free(ret_state);
		rc = nft_socket_open(&socket, e);
		if (rc < 0)
			return rc;
		rc = nft_state_read(&socket, ret_state, e);
		nft_socket_close(&socket);
	}
	return rc;
}

static int compare(const struct ruleset *want, const struct nft_state *state, struct nft_differences *differences,
	struct error *e)
{
	return nft_compare(want, state, differences) < 0 ? error_set(e, ENOMEM, "no memory to compare the rules") : 0;
}

static void tell_namesakes(const struct nft_state *state, struct nft_differences *differences)
{
	for (size_t i = 0; i < NFT_STATE_FAMILY_COUNT; i++)
		if (state->namesakes[i])
			nft_difference_tell(differences, NFT_ADDED, "the table %s " RULESET_TABLE ", which is none of weir's,",
				nft_state_family_name(i));
}

int nft_table_check(const struct ruleset *want, struct nft_differences *differences, struct error *e)
{
	struct nft_state state;
	int rc = read_state(&state, e);

	if (rc == 0)
		rc = compare(want, &state, differences, e);
	if (rc == 0)
		tell_namesakes(&state, differences);
	nft_state_free(&state);
	return rc;
}

/* Whether the kernel holds `want`, and nothing else under the table's name. */
static int is_applied(const struct ruleset *want, bool *ret_applied, struct error *e)
{
	struct nft_differences differences = {.listener = NULL};
	struct nft_state state;
	int rc = read_state(&state, e);

	if (rc == 0)
		rc = compare(want, &state, &differences, e);
	*ret_applied = differences.count == 0;
	nft_state_free(&state);
	return rc;
}

/* What to do about a table that is there. */
static int settle(struct nft_socket *socket, const struct ruleset *want, bool force, enum nft_outcome *ret_outcome,
	struct error *e)
{
	bool applied = false;
	int rc = force ? 0 : is_applied(want, &applied, e);

	if (rc < 0)
		return rc;
	*ret_outcome = applied ? NFT_UNCHANGED : NFT_REPLACED;
	return applied ? 0 : transact(socket, want, true, e);
}

static int apply_once(struct nft_socket *socket, const struct ruleset *want, bool force, enum nft_outcome *ret_outcome,
	struct error *e)
{
	bool exists;
	int rc = nft_state_find_table(socket, &exists, e);

	*ret_outcome = NFT_CREATED;
	if (rc == 0)
		rc = exists ? settle(socket, want, force, ret_outcome, e) : transact(socket, want, false, e);
	return rc;
}

static int remove_once(struct nft_socket *socket, enum nft_outcome *ret_outcome, struct error *e)
{
	int rc = transact(socket, NULL, true, e);

	*ret_outcome = rc == -ENOENT ? NFT_UNCHANGED : NFT_REMOVED;
	return rc == -ENOENT ? 0 : rc;
}

/*
 * Between the look and the transaction the table may have come or gone, and the kernel may ask for a transaction again:
 * then, once more, from the look on.
 */
static bool is_passing(int rc)
{
	return rc == -EEXIST || rc == -ENOENT || rc == -EAGAIN;
}

/* Acknowledgements were lost: the kernel knows whether it committed. */
static int confirm(const struct ruleset *want, struct error *e)
{
	struct error lost = *e;
	bool applied = false;
	int rc = is_applied(want, &applied, e);

	if (rc == 0 && !applied) {
		*e = lost;
		rc = -ENOBUFS;
	}
	return rc;
}

int nft_table_apply(const struct ruleset *want, bool force, enum nft_outcome *ret_outcome, struct error *e)
{
	int rc = -EAGAIN;

	for (int attempt = 0; is_passing(rc) && attempt < ATTEMPT_MAX; attempt++) {
		struct nft_socket socket;

		rc = nft_socket_open(&socket, e);
		if (rc < 0)
			return rc;
		rc = want != NULL ? apply_once(&socket, want, force, ret_outcome, e)
				  : remove_once(&socket, ret_outcome, e);
		nft_socket_close(&socket);
	}
	return rc == -ENOBUFS ? confirm(want, e) : rc;
}
