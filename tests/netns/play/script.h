/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the two ends of a connection do, as plain data: drawn from a seed and a number, so that the same script can be
 * played on a direct connection and on one through the proxy.
 *
 * Each end reads as its reader says, all the time, while it goes through its steps. Some endings leave nothing to
 * chance: who resets has waited until everything before has arrived, so what both ends see is determined. The sudden
 * ones may destroy bytes that are on their way.
 */
#ifndef WEIR_PLAY_SCRIPT_H
#define WEIR_PLAY_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCRIPT_STEP_MAX 64
#define SCRIPT_OPENING_SIZE 256
#define SCRIPT_NAME_SIZE 32

enum script_side { SCRIPT_CLIENT, SCRIPT_SERVER, SCRIPT_SIDE_COUNT };

enum script_ending {
	SCRIPT_CLEAN,                 /* both half-close, and read to the end */
	SCRIPT_RESET,                 /* once everything has arrived */
	SCRIPT_RESET_AFTER_PEERS_END, /* while the peer waits, half-closed */
	SCRIPT_RESET_AFTER_OWN_END,   /* once the peer has seen the half-close */
	SCRIPT_CLOSE,                 /* and the peer writes on */
	SCRIPT_CLOSE_UNREAD,          /* with bytes that were not read */
	SCRIPT_SUDDEN_RESET,          /* from here on anything may be on its way */
	SCRIPT_SUDDEN_CLOSE,
	SCRIPT_SUDDEN_END_AND_RESET,
	SCRIPT_SUDDEN_BOTH,
	SCRIPT_ENDING_COUNT
};

enum script_verb {
	SCRIPT_WRITE,          /* `value` bytes, in pieces of `piece` */
	SCRIPT_PAUSE,          /* `value` milliseconds */
	SCRIPT_AWAIT_READ,     /* until `value` bytes have been read, or the end */
	SCRIPT_AWAIT_PEER,     /* until the peer has read all that was written */
	SCRIPT_AWAIT_PEER_END, /* until the peer has read the end */
	SCRIPT_AWAIT_END,      /* until the peer's end, or an error */
	SCRIPT_AWAIT_UNREAD,   /* until `value` bytes lie unread in the socket */
	SCRIPT_AWAIT_ERROR,
	SCRIPT_SHUT,
	SCRIPT_DROP, /* close with a reset */
	SCRIPT_LEAVE /* close */
};

struct script_step {
	enum script_verb verb;
	uint32_t value;
	uint32_t piece;
};

struct script_part {
	struct script_step steps[SCRIPT_STEP_MAX];
	size_t count;
	uint32_t total;      /* bytes that the steps write */
	uint32_t read_limit; /* no more than these are read */
	uint32_t read_piece;
	uint32_t read_pause;     /* milliseconds between reads */
	uint32_t window;         /* bytes that the socket lets come, at most; 0: the kernel's choice */
};

struct script {
	uint32_t number;
	bool ipv6;
	enum script_ending ending;
	enum script_side actor; /* who makes the ending, unless both do */
	char host[SCRIPT_NAME_SIZE];        /* the name that the client's first bytes tell in HTTP; "" none */
	char server_name[SCRIPT_NAME_SIZE]; /* the same in TLS */
	uint8_t opening[SCRIPT_OPENING_SIZE];
	uint32_t opening_size;
	uint32_t stream_start[SCRIPT_SIDE_COUNT]; /* where in the table of random bytes a side's stream begins */
	struct script_part parts[SCRIPT_SIDE_COUNT];
};

/* Draws script `number` of a seed. */
void script_draw(struct script *script, uint64_t seed, uint32_t number);

/* Whether TCP leaves open what the ends see. */
bool script_is_sudden(const struct script *script);

/* The word for an ending. */
const char *script_ending_name(enum script_ending ending);

#endif
