/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/plugin.h"

#include <stdlib.h>

int main(void)
{
	return plugin_run(getenv, stdin, stdout);
}
