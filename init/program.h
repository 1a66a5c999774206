/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the init program does, once.
 */
#ifndef WEIR_INIT_PROGRAM_H
#define WEIR_INIT_PROGRAM_H

/* The exit statuses. */
enum program_status {
	PROGRAM_OK = 0,
	PROGRAM_FAILED = 1,      /* bad settings, or a refusal by the kernel */
	PROGRAM_DIFFERENT = 3,   /* --check or --diff found a difference */
	PROGRAM_INVALID = 126,   /* --run-validation found the rules not to do what they say */
	PROGRAM_NO_SUCH_FLAG = 255,
};

/* Reads arguments and environment, and does what they ask for. Returns the exit status. */
int program_run(int argc, char *const argv[]);

#endif
