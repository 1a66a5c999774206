/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One setting's text, beside others that let it show, up to nft's and iptables' text and the netlink batch. The first
 * byte says which setting.
 */
#include "tests/fuzz/fuzz.h"

#include "redirect/iptables/backend.h"
#include "redirect/nft/encode.h"
#include "redirect/nft/text.h"
#include "redirect/plan/plan.h"

#include <string.h>

static struct plan_report report;

/* Without these, marks, excluded ports and servers would come to nothing. */
static const struct {
	enum setting setting;
	const char *text;
} beside[] = {
	{SETTING_INTERCEPTION_MODE, "TPROXY"},
	{SETTING_INCLUDE_INBOUND_PORTS, "*"},
	{SETTING_DNS_CAPTURE, "true"},
	{SETTING_DNS_SERVERS, "10.0.0.53"},
	{SETTING_KUBEVIRT_INTERFACES, "tap0"},
};

static int build(enum setting setting, enum setting_way way, const uint8_t *text, size_t size, struct redirect_plan *plan)
{
	struct settings settings;

	settings_init_for_flags(&settings);
	for (size_t i = 0; i < sizeof beside / sizeof *beside; i++)
		settings_set(&settings, beside[i].setting, SETTING_WAY_DEFAULT, "beside", beside[i].text, strlen(beside[i].text));
	settings_set(&settings, setting, way, setting_name(setting), (const char *)text, size);
	return plan_build(&settings, plan, &report);
}

static void check_list(const struct interval_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct interval *item = &list->items[i];

		FUZZ_CHECK(memcmp(item->first, item->last, list->key_size) <= 0);
		FUZZ_CHECK(i == 0 || memcmp(list->items[i - 1].last, item->first, list->key_size) < 0);
		FUZZ_CHECK(interval_list_find(list, item->first) == item && interval_list_find(list, item->last) == item);
	}
}

/* All ways of writing the rules take them, and what is written is text. */
static void write_rules(const struct redirect_plan *plan)
{
	struct ruleset ruleset;
	struct nft_batch batch;
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	ruleset_build(plan, "team-a/web-0", &ruleset);
	FUZZ_CHECK(out != NULL);
	nft_text_write(&ruleset, out);
	/* One line a range. */
	if (plan->lists[PLAN_INCLUDED_IPV6].count < 1000)
		FUZZ_CHECK(iptables_write(&ruleset, out) == 0);
	(void)fclose(out);
	for (size_t i = 0; i < size; i++)
		FUZZ_CHECK(text[i] == '\n' || text[i] == '\t' || (text[i] >= ' ' && text[i] <= '~'));
	free(text);
	FUZZ_CHECK(nft_batch_init(&batch) == 0 && nft_encode_ruleset(&ruleset, true, &batch) == 0 && nft_batch_end(&batch) == 0);
	nft_batch_free(&batch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct redirect_plan plan;
	struct redirect_plan again;
	enum setting setting;

	if (size == 0)
		return 0;
	setting = (enum setting)(data[0] % SETTING_COUNT);
	if (build(setting, SETTING_WAY_FLAG, data + 1, size - 1, &plan) < 0) {
		FUZZ_CHECK(report.error.text[0] != '\0' && report.way == SETTING_WAY_FLAG);
		FUZZ_CHECK(build(setting, SETTING_WAY_ANNOTATION, data + 1, size - 1, &again) < 0);
		return 0;
	}
	for (enum plan_list l = 0; l < PLAN_LIST_COUNT; l++)
		check_list(&plan.lists[l]);
	if (plan.interception != PLAN_INTERCEPTION_NONE)
		write_rules(&plan);
	FUZZ_CHECK(build(setting, SETTING_WAY_ANNOTATION, data + 1, size - 1, &again) == 0 && plan_equal(&plan, &again));
	plan_free(&again);
	plan_free(&plan);
	return 0;
}
