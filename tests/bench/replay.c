/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay FILE - the kernel's share of excluding the ranges in FILE: makes the transaction that weir-init would send
 * for `-i '*' -x @FILE`, and prints the microseconds that only sending it and reading its acknowledgements takes.
 */
#include "redirect/nft/encode.h"
#include "redirect/nft/socket.h"
#include "redirect/plan/plan.h"
#include "tests/bench/measure.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void make_plan(const char *file, struct redirect_plan *ret_plan)
{
	static struct plan_report report;
	struct settings settings;
	char text[4096];
	enum setting failed;
	struct error e;
	int length = snprintf(text, sizeof text, "@%s", file);

	settings_init_for_flags(&settings);
	settings_set(&settings, SETTING_INCLUDE_OUTBOUND_IP_RANGES, SETTING_WAY_FLAG, "i", "*", 1);
	settings_set(&settings, SETTING_EXCLUDE_OUTBOUND_IP_RANGES, SETTING_WAY_FLAG, "x", text, (size_t)length);
	errno = 0;
	if (settings_read_files(&settings, &failed, &e) < 0)
		measure_die("%s", e.text);
	if (plan_build(&settings, ret_plan, &report) < 0)
		measure_die("%s", report.error.text);
	settings_free(&settings);
}

static double replay(const struct ruleset *want)
{
	struct nft_object refused = {.kind = ""};
	struct nft_batch batch;
	struct nft_socket socket;
	struct error e;
	double start;
	double end;

	if (nft_batch_init(&batch) < 0 || nft_encode_ruleset(want, true, &batch) < 0 || nft_batch_end(&batch) < 0)
		measure_die("no memory for the transaction");
	if (nft_socket_open(&socket, &e) < 0)
		measure_die("%s", e.text);
	start = measure_now();
	if (nft_socket_commit(&socket, &batch, &refused, &e) < 0)
		measure_die("%s", e.text);
	end = measure_now();
	nft_socket_close(&socket);
	nft_batch_free(&batch);
	return end - start;
}

int main(int argc, char *argv[])
{
	struct redirect_plan plan;
	static struct ruleset ruleset;

	if (argc != 2)
		measure_die("usage: replay FILE");
	make_plan(argv[1], &plan);
	ruleset_build(&plan, NULL, &ruleset);
	(void)printf("%.1f\n", replay(&ruleset));
	plan_free(&plan);
	return 0;
}
