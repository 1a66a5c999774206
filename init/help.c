/* SPDX-License-Identifier: Apache-2.0 */
#include "init/help.h"

#include "init/option.h"
#include "redirect/plan/setting.h"

static void write_names(FILE *out, const char *flag, char letter, const char *environment)
{
	if (letter != 0)
		(void)fprintf(out, "  -%c, ", letter);
	else
		(void)fputs("      ", out);
	(void)fprintf(out, flag != NULL ? "--%-36s" : "  %-36s", flag != NULL ? flag : "");
	(void)fprintf(out, " %-38s", environment != NULL ? environment : "");
}

void help_write(FILE *out)
{
	(void)fputs("weir-init: redirects this network namespace's TCP, outbound and inbound, to a proxy\n\n"
		    "Settings of the rules (flag, environment variable, default); lists may be @FILE:\n",
		out);
	for (enum setting s = 0; s < SETTING_COUNT; s++) {
		const struct setting_spec *spec = setting_spec(s);

		if (spec->flag == NULL && spec->environment[0] == NULL)
			continue;
		write_names(out, spec->flag, spec->letter, spec->environment[0]);
		(void)fprintf(out, " \"%s\"%s\n", spec->flag_default, spec->inert != NULL ? " (others: not built yet)" : "");
	}
	(void)fputs("\nThe program:\n", out);
	for (enum option o = 0; o < OPTION_COUNT; o++) {
		const struct option_spec *spec = option_spec(o);

		write_names(out, spec->flag, spec->letter, spec->environment[0]);
		(void)fprintf(out, " %s\n", spec->help);
	}
	(void)fputs("\nExit status: 0; 1 bad settings, or the kernel refused; 3 --check or --diff found a difference;\n"
		    "126 --run-validation found the rules not to do what they say; 255 no such flag\n",
		out);
}
