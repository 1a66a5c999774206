/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets are watched for edges: `can_read` and `can_write` hold until a call says EAGAIN. The first error that any
 * call reports is the one that is noted; after it nothing is written, and what the socket still holds is read.
 */
#include "tests/netns/play/actor.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* A prime, so that bytes in a wrong place are not what is expected there. */
#define TABLE_SIZE 1048573u
#define READ_MAX 65536u

static uint8_t table[TABLE_SIZE + READ_MAX]; /* its beginning again behind its end */

void actor_prepare_streams(void)
{
	for (size_t i = 0; i < TABLE_SIZE; i++)
		table[i] = (uint8_t)random();
	memcpy(table + TABLE_SIZE, table, READ_MAX);
}

/* A stretch of a side's stream from `at` on; `*size` is cut to what lies in one piece. */
static const uint8_t *stream_at(const struct script *script, enum script_side side, uint32_t at, uint32_t *size)
{
	if (*size > READ_MAX)
		*size = READ_MAX;
	if (side == SCRIPT_CLIENT && at < script->opening_size) {
		if (*size > script->opening_size - at)
			*size = script->opening_size - at;
		return script->opening + at;
	}
	return table + (script->stream_start[side] + at) % TABLE_SIZE;
}

void actor_init(struct actor *actor, const struct script *script, enum script_side side, const struct actor *peer)
{
	*actor = (struct actor){.fd = -1, .script = script, .part = &script->parts[side], .peer = peer, .side = side,
		.intact = true};
}

void actor_event(struct actor *actor, uint32_t events)
{
	actor->started = true;
	if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
		actor->can_read = true;
	if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0)
		actor->can_write = true;
	if ((events & EPOLLERR) != 0)
		actor->alarmed = true;
}

/* --- reading */

static bool is_of_the_stream(const struct actor *actor, const uint8_t *data, uint32_t size)
{
	uint32_t at = actor->received;

	while (size > 0) {
		uint32_t part = size;
		const uint8_t *expected = stream_at(actor->script, !actor->side, at, &part);

		if (memcmp(data, expected, part) != 0)
			return false;
		data += part;
		at += part;
		size -= part;
	}
	return true;
}

static bool read_some(struct actor *actor, int64_t now)
{
	static uint8_t buffer[READ_MAX];
	uint32_t size = actor->part->read_limit - actor->received;
	ssize_t n;

	if (!actor->can_read || actor->ended || size == 0 || now < actor->read_until)
		return false;
	size = size < actor->part->read_piece ? size : actor->part->read_piece;
	n = recv(actor->fd, buffer, size, 0);
	if (n > 0) {
		actor->intact = actor->intact && is_of_the_stream(actor, buffer, (uint32_t)n);
		actor->received += (uint32_t)n;
		actor->read_until = actor->part->read_pause > 0 ? now + actor->part->read_pause : 0;
		return true;
	}
	actor->can_read = false;
	if (n < 0 && errno == EAGAIN)
		return false;
	if (n < 0 && actor->error == 0)
		actor->error = errno;
	/* After an error the kernel says 0, which is no orderly end. */
	if (n == 0 && actor->error == 0)
		actor->ended = true;
	return true;
}

/* --- steps */

static bool write_some(struct actor *actor, const struct script_step *step)
{
	uint32_t size = step->value - actor->step_done;
	const uint8_t *data;
	ssize_t n;

	if (!actor->can_write)
		return false;
	size = size < step->piece ? size : step->piece;
	data = stream_at(actor->script, actor->side, actor->sent, &size);
	n = send(actor->fd, data, size, MSG_NOSIGNAL);
	if (n < 0) {
		actor->can_write = false;
		if (errno != EAGAIN && actor->error == 0)
			actor->error = errno;
		return errno != EAGAIN;
	}
	actor->sent += (uint32_t)n;
	actor->step_done += (uint32_t)n;
	return true;
}

/* An error that no call has told, because there is nothing left to read. */
static bool meets_error(struct actor *actor)
{
	socklen_t length = sizeof actor->error;

	if (actor->error == 0 && actor->alarmed && (actor->ended || actor->received == actor->part->read_limit))
		(void)getsockopt(actor->fd, SOL_SOCKET, SO_ERROR, &actor->error, &length);
	return actor->error != 0;
}

static bool has_unread(const struct actor *actor, uint32_t count)
{
	int size = 0;

	return ioctl(actor->fd, SIOCINQ, &size) == 0 && (uint32_t)size >= count;
}

static void leave(struct actor *actor, bool reset)
{
	const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

	if (reset)
		(void)setsockopt(actor->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
	actor->dropped = reset;
	actor->shut |= !reset && actor->error == 0;
	(void)close(actor->fd);
	actor->fd = -1;
	actor->closed = true;
}

/* Whether a step that waits may wait no longer. */
static bool wait_is_over(struct actor *actor, const struct script_step *step, int64_t now)
{
	switch (step->verb) {
	case SCRIPT_PAUSE:
		if (actor->write_until == 0)
			actor->write_until = now + step->value;
		return now >= actor->write_until;
	case SCRIPT_AWAIT_READ:
		return actor->received >= step->value || actor->ended;
	case SCRIPT_AWAIT_PEER:
		return actor->peer->received >= actor->sent || actor->peer->closed;
	case SCRIPT_AWAIT_PEER_END:
		return actor->peer->ended || actor->peer->closed;
	case SCRIPT_AWAIT_END:
		return actor->ended;
	case SCRIPT_AWAIT_UNREAD:
		return has_unread(actor, step->value);
	default:
		return meets_error(actor);
	}
}

static void next_step(struct actor *actor)
{
	actor->step++;
	actor->step_done = 0;
	actor->write_until = 0;
}

static bool play_step(struct actor *actor, int64_t now)
{
	const struct script_step *step = &actor->part->steps[actor->step];

	/* Who has met an error, and who is through, goes when there is nothing left to read. */
	if (actor->error != 0 || actor->step == actor->part->count) {
		if (actor->can_read && !actor->ended && actor->received < actor->part->read_limit)
			return false;
		leave(actor, false);
		return true;
	}
	switch (step->verb) {
	case SCRIPT_WRITE:
		if (!write_some(actor, step))
			return false;
		if (actor->step_done < step->value)
			return true;
		break;
	case SCRIPT_SHUT:
		(void)shutdown(actor->fd, SHUT_WR);
		actor->shut = true;
		break;
	case SCRIPT_DROP:
	case SCRIPT_LEAVE:
		leave(actor, step->verb == SCRIPT_DROP);
		return true;
	default:
		if (!wait_is_over(actor, step, now))
			return false;
		break;
	}
	next_step(actor);
	return true;
}

bool actor_play(struct actor *actor, int64_t now)
{
	bool moved;

	if (actor->fd < 0 || !actor->started)
		return false;
	moved = read_some(actor, now);
	return play_step(actor, now) || moved;
}
