/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One end of a connection, which plays its part of a script and notes what it sees.
 */
#ifndef WEIR_PLAY_ACTOR_H
#define WEIR_PLAY_ACTOR_H

#include "tests/netns/play/script.h"

#include <stdbool.h>
#include <stdint.h>

struct actor {
	int fd; /* -1: not there yet, or closed */
	const struct script *script;
	const struct script_part *part;
	const struct actor *peer;
	enum script_side side;
	size_t step;
	uint32_t step_done;  /* bytes of the step */
	int64_t write_until; /* milliseconds: the steps' pause, and the reader's */
	int64_t read_until;
	bool started, can_read, can_write, alarmed;

	/* What it has seen. */
	uint32_t sent;
	uint32_t received;
	bool intact; /* what it read is what the peer's stream has there */
	bool ended;  /* an orderly end was read */
	int error;   /* the first one, from whichever call; 0 none */
	/* What it has done. */
	bool shut;    /* passed on an orderly end, by half-closing or closing */
	bool dropped; /* reset */
	bool closed;
};

/* Makes the table of random bytes that the streams are taken from. */
void actor_prepare_streams(void);

/* An end that waits for its socket. */
void actor_init(struct actor *actor, const struct script *script, enum script_side side, const struct actor *peer);

/* Takes what epoll says. */
void actor_event(struct actor *actor, uint32_t events);

/* Does what can be done now. Returns whether anything was. */
bool actor_play(struct actor *actor, int64_t now);

#endif
