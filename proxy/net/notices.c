/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/net/notices.h"

#include "proxy/log/warn.h"

#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct report_problem *)a)->text, ((const struct report_problem *)b)->text);
}

static bool was_told(const struct notices *notices, const struct report_problem *problem)
{
	const struct report *told = &notices->told;

	return told->count > 0 && bsearch(problem, told->problems, told->count, sizeof *problem, compare) != NULL;
}

size_t notices_tell(struct notices *notices, struct report *report)
{
	size_t errors = 0;

	for (size_t i = 0; i < report->count; i++) {
		const struct report_problem *problem = &report->problems[i];

		if (was_told(notices, problem))
			continue;
		warn("%s%s", problem->severity == REPORT_WARNING ? "warning: " : "", problem->text);
		errors += problem->severity == REPORT_ERROR;
	}
	report_free(&notices->told);
	notices->told = *report;
	*report = (struct report){.problems = NULL};
	if (notices->told.count > 0)
		qsort(notices->told.problems, notices->told.count, sizeof *notices->told.problems, compare);
	return errors;
}

void notices_free(struct notices *notices)
{
	report_free(&notices->told);
}
