/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/netns/play/script.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* Turns: who writes, how much; a turn may wait for all earlier ones of the other side, so nobody waits for ever. */
#define TURN_MAX 10
#define EXTRA_MAX 1000
#define UNREAD_MAX 2000
#define STREAM_START_MAX (1u << 20)

static uint64_t state;

/* splitmix64 */
static uint32_t draw(uint32_t below)
{
	uint64_t z = state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (uint32_t)((z ^ z >> 31) >> 32) % below;
}

static void add(struct script_part *part, enum script_verb verb, uint32_t value, uint32_t piece)
{
	assert(part->count < SCRIPT_STEP_MAX);
	part->steps[part->count++] = (struct script_step){verb, value, piece};
	if (verb == SCRIPT_WRITE)
		part->total += value;
}

static uint32_t draw_size(void)
{
	switch (draw(8)) {
	case 0:
		return 1;
	case 1:
	case 2:
		return 1 + draw(20);
	case 3:
	case 4:
		return 1 + draw(3000);
	case 5:
	case 6:
		return 1 + draw(70000);
	default:
		return 1 + draw(600000);
	}
}

/* Pieces of few bytes only where there are not many. */
static uint32_t draw_piece(uint32_t size)
{
	uint32_t smallest = 1 + size / 200;

	switch (draw(4)) {
	case 0:
		return smallest;
	case 1:
		return smallest + draw(1460);
	case 2:
		return smallest + draw(20000);
	default:
		return size;
	}
}

static void draw_reader(struct script_part *part)
{
	part->read_limit = UINT32_MAX;
	part->read_piece = draw(2) == 0 ? 65536 : 64 + draw(8000);
	part->read_pause = draw(3) == 0 && part->read_piece > 1000 ? 1 + draw(2) : 0;
	part->window = draw(3) == 0 ? 2048 + draw(20000) : 0;
}

static void draw_turns(struct script *script)
{
	uint32_t turns = draw(TURN_MAX);

	if (script->opening_size > 0)
		add(&script->parts[SCRIPT_CLIENT], SCRIPT_WRITE, script->opening_size, 1 + draw(script->opening_size));
	for (uint32_t i = 0; i < turns; i++) {
		enum script_side side = draw(2) == 0 ? SCRIPT_CLIENT : SCRIPT_SERVER;
		struct script_part *part = &script->parts[side];
		uint32_t size = draw_size();

		if (draw(2) == 0)
			add(part, SCRIPT_AWAIT_READ, script->parts[!side].total, 0);
		if (draw(3) == 0)
			add(part, SCRIPT_PAUSE, 1 + draw(5), 0);
		add(part, SCRIPT_WRITE, size, draw_piece(size));
	}
}

static void end_clean(struct script_part *part)
{
	add(part, SCRIPT_SHUT, 0, 0);
	add(part, SCRIPT_AWAIT_END, 0, 0);
	add(part, SCRIPT_LEAVE, 0, 0);
}

static void end_reset(struct script_part *actor, struct script_part *peer)
{
	add(actor, SCRIPT_AWAIT_PEER, 0, 0);
	add(actor, SCRIPT_AWAIT_READ, peer->total, 0);
	add(actor, SCRIPT_DROP, 0, 0);
	add(peer, SCRIPT_AWAIT_ERROR, 0, 0);
}

static void end_reset_after_peers_end(struct script_part *actor, struct script_part *peer)
{
	add(peer, SCRIPT_SHUT, 0, 0);
	add(peer, SCRIPT_AWAIT_ERROR, 0, 0);
	add(actor, SCRIPT_AWAIT_PEER, 0, 0);
	add(actor, SCRIPT_AWAIT_END, 0, 0);
	add(actor, SCRIPT_DROP, 0, 0);
}

static void end_reset_after_own_end(struct script_part *actor, struct script_part *peer)
{
	add(actor, SCRIPT_AWAIT_READ, peer->total, 0);
	add(actor, SCRIPT_SHUT, 0, 0);
	add(actor, SCRIPT_AWAIT_PEER_END, 0, 0);
	add(actor, SCRIPT_DROP, 0, 0);
	add(peer, SCRIPT_AWAIT_ERROR, 0, 0);
}

static void end_close(struct script_part *actor, struct script_part *peer)
{
	uint32_t extra = 1 + draw(EXTRA_MAX);

	add(actor, SCRIPT_AWAIT_PEER, 0, 0);
	add(actor, SCRIPT_AWAIT_READ, peer->total, 0);
	add(actor, SCRIPT_LEAVE, 0, 0);
	add(peer, SCRIPT_AWAIT_END, 0, 0);
	add(peer, SCRIPT_WRITE, extra, extra);
	add(peer, SCRIPT_AWAIT_ERROR, 0, 0);
}

static void end_close_unread(struct script_part *actor, struct script_part *peer)
{
	uint32_t unread = 1 + draw(UNREAD_MAX);

	/* What is read before goes first: a little left of a large packet would hold all of the socket's memory. */
	add(peer, SCRIPT_AWAIT_PEER, 0, 0);
	actor->read_limit = peer->total;
	actor->window = 0;
	add(peer, SCRIPT_WRITE, unread, unread);
	add(peer, SCRIPT_AWAIT_ERROR, 0, 0);
	add(actor, SCRIPT_AWAIT_PEER, 0, 0);
	add(actor, SCRIPT_AWAIT_READ, actor->read_limit, 0);
	add(actor, SCRIPT_AWAIT_UNREAD, unread, 0);
	add(actor, SCRIPT_LEAVE, 0, 0);
}

/* Cuts the steps anywhere. */
static void cut(struct script_part *part)
{
	part->count = draw((uint32_t)part->count + 1);
	part->total = 0;
	for (size_t i = 0; i < part->count; i++)
		if (part->steps[i].verb == SCRIPT_WRITE)
			part->total += part->steps[i].value;
}

static void end_suddenly(struct script_part *part, enum script_ending ending)
{
	cut(part);
	if (ending == SCRIPT_SUDDEN_END_AND_RESET) {
		add(part, SCRIPT_SHUT, 0, 0);
		add(part, SCRIPT_PAUSE, draw(3), 0);
	}
	add(part, ending == SCRIPT_SUDDEN_CLOSE || (ending == SCRIPT_SUDDEN_BOTH && draw(3) == 0) ? SCRIPT_LEAVE : SCRIPT_DROP,
		0, 0);
}

static void draw_ending(struct script *script)
{
	struct script_part *actor = &script->parts[script->actor];
	struct script_part *peer = &script->parts[!script->actor];

	switch (script->ending) {
	case SCRIPT_RESET:
		end_reset(actor, peer);
		break;
	case SCRIPT_RESET_AFTER_PEERS_END:
		end_reset_after_peers_end(actor, peer);
		break;
	case SCRIPT_RESET_AFTER_OWN_END:
		end_reset_after_own_end(actor, peer);
		break;
	case SCRIPT_CLOSE:
		end_close(actor, peer);
		break;
	case SCRIPT_CLOSE_UNREAD:
		end_close_unread(actor, peer);
		break;
	case SCRIPT_SUDDEN_RESET:
	case SCRIPT_SUDDEN_CLOSE:
	case SCRIPT_SUDDEN_END_AND_RESET:
		end_suddenly(actor, script->ending);
		if (draw(2) == 0)
			add(peer, SCRIPT_SHUT, 0, 0);
		add(peer, SCRIPT_AWAIT_END, 0, 0);
		add(peer, SCRIPT_LEAVE, 0, 0);
		break;
	case SCRIPT_SUDDEN_BOTH:
		end_suddenly(actor, script->ending);
		end_suddenly(peer, script->ending);
		break;
	default:
		end_clean(actor);
		end_clean(peer);
		break;
	}
}

/* --- what the client's first bytes are */

static uint8_t *put16(uint8_t *out, size_t value)
{
	out[0] = (uint8_t)(value >> 8);
	out[1] = (uint8_t)value;
	return out + 2;
}

/* A ClientHello with a server name and nothing else, in one record. */
static size_t put_hello(uint8_t *out, const char *name)
{
	size_t length = strlen(name);
	size_t body = 2 + 32 + 1 + 4 + 2 + 2 + 9 + length;
	uint8_t *next = out;

	*next++ = 22;
	next = put16(next, 0x0301);
	next = put16(next, body + 4);
	*next++ = 1;
	*next++ = 0;
	next = put16(next, body);
	next = put16(next, 0x0303);
	memset(next, 'r', 32);
	next += 32;
	*next++ = 0;
	next = put16(put16(next, 2), 0x1301);
	next = put16(next, 0x0100);
	next = put16(next, 9 + length);
	next = put16(put16(next, 0), 5 + length);
	next = put16(next, 3 + length);
	*next++ = 0;
	next = put16(next, length);
	memcpy(next, name, length);
	return (size_t)(next + length - out);
}

static void draw_opening(struct script *script)
{
	char name[SCRIPT_NAME_SIZE];

	(void)snprintf(name, sizeof name, "r%u.play.example", script->number);
	switch (draw(3)) {
	case 0:
		memcpy(script->host, name, sizeof name);
		script->opening_size = (uint32_t)snprintf((char *)script->opening, sizeof script->opening,
			"POST /%u HTTP/1.1\r\nUser-Agent: play\r\nHost: %s\r\n\r\n", script->number, name);
		break;
	case 1:
		memcpy(script->server_name, name, sizeof name);
		script->opening_size = (uint32_t)put_hello(script->opening, name);
		break;
	default:
		break;
	}
}

void script_draw(struct script *script, uint64_t seed, uint32_t number)
{
	state = seed << 32 ^ number;
	*script = (struct script){.number = number, .ipv6 = draw(2) == 0, .actor = draw(2) == 0 ? SCRIPT_CLIENT : SCRIPT_SERVER};
	script->ending = draw(3) == 0 ? SCRIPT_CLEAN : (enum script_ending)draw(SCRIPT_ENDING_COUNT);
	for (int i = 0; i < SCRIPT_SIDE_COUNT; i++) {
		script->stream_start[i] = draw(STREAM_START_MAX);
		draw_reader(&script->parts[i]);
	}
	draw_opening(script);
	draw_turns(script);
	draw_ending(script);
}

bool script_is_sudden(const struct script *script)
{
	return script->ending >= SCRIPT_SUDDEN_RESET;
}

const char *script_ending_name(enum script_ending ending)
{
	static const char *const names[] = {
		[SCRIPT_CLEAN] = "clean",
		[SCRIPT_RESET] = "reset",
		[SCRIPT_RESET_AFTER_PEERS_END] = "reset-after-peers-end",
		[SCRIPT_RESET_AFTER_OWN_END] = "reset-after-own-end",
		[SCRIPT_CLOSE] = "close",
		[SCRIPT_CLOSE_UNREAD] = "close-unread",
		[SCRIPT_SUDDEN_RESET] = "sudden-reset",
		[SCRIPT_SUDDEN_CLOSE] = "sudden-close",
		[SCRIPT_SUDDEN_END_AND_RESET] = "sudden-end-and-reset",
		[SCRIPT_SUDDEN_BOTH] = "sudden-both",
	};
	static_assert(sizeof names / sizeof *names == SCRIPT_ENDING_COUNT, "every ending has a name");

	return names[ending];
}
