/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits, what is taken of them, and what a reload makes of both.
 */
#include "proxy/net/circuit.h"

#include "tests/unit/policy_fixture.h"

#include <pthread.h>
#include <stdlib.h>

#define ENTRY(name)                                                                                                      \
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: " name "}\n"                              \
	"spec: {hosts: [" name ".org], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}\n---\n"
#define RULE(name, pool)                                                                                                 \
	"apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: " name "}\n"                           \
	"spec: {host: " name ".org, trafficPolicy: {connectionPool: {" pool "}}}\n---\n"

struct reloads {
	struct fixture fixture;
	struct circuits circuits;
	struct circuit **array; /* of the newest version, which has `count` of them */
	uint32_t count;
};

static void forget_version(struct reloads *reloads)
{
	for (uint32_t i = 0; i < reloads->count; i++)
		circuit_unref(reloads->array[i]);
	free(reloads->array);
	reloads->array = NULL;
	reloads->count = 0;
}

/* Makes a version of some rules. The one before lives until then, as in the proxy. */
static void reload(struct reloads *reloads, const char *rules)
{
	struct circuit **array = NULL;

	fixture_put(&reloads->fixture, "entries.yaml", ENTRY("a") ENTRY("b"));
	fixture_put(&reloads->fixture, "rules.yaml", rules);
	fixture_build(&reloads->fixture);
	fixture_expect_clean(&reloads->fixture);
	assert_int_equal(circuits_update(&reloads->circuits, reloads->fixture.policy, &array), 0);
	forget_version(reloads);
	reloads->array = array;
	reloads->count = reloads->fixture.policy->circuit_count;
}

static void start(struct reloads *reloads, const char *rules)
{
	*reloads = (struct reloads){.array = NULL};
	fixture_start(&reloads->fixture, MESH_REGISTRY_ONLY);
	reload(reloads, rules);
}

static void stop(struct reloads *reloads)
{
	forget_version(reloads);
	circuits_free(&reloads->circuits);
	fixture_end(&reloads->fixture);
}

/* The circuit of a host, or NULL. */
static struct circuit *circuit_of(const struct reloads *reloads, const char *cluster)
{
	uint32_t number = fixture_cluster(&reloads->fixture, cluster)->circuit;

	return number != 0 ? reloads->array[number - 1] : NULL;
}

static unsigned count_all(const struct circuits *circuits)
{
	unsigned count = 0;

	for (const struct circuit *circuit = circuits->first; circuit != NULL; circuit = circuit->next)
		count++;
	return count;
}

#define A "outbound|80||a.org"
#define B "outbound|80||b.org"

static void limits_are_those_of_the_rule(void **state)
{
	static const uint32_t expected[] = {1, 2, 3, 4};
	struct reloads reloads;

	(void)state;
	start(&reloads, RULE("a", "tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 2, http2MaxRequests: 3, maxRetries: 4}")
			RULE("b", "tcp: {connectTimeout: 1s}, http: {maxRequestsPerConnection: 5, idleTimeout: 1s}"));
	for (size_t i = 0; i < CIRCUIT_RESOURCE_COUNT; i++)
		assert_int_equal(circuit_of(&reloads, A)->limits[i], expected[i]);
	assert_null(circuit_of(&reloads, B));
	/* Zero is the default, as in Istio. */
	reload(&reloads, RULE("a", "tcp: {maxConnections: 0}, http: {maxRetries: 1}") RULE("b", "tcp: {maxConnections: 0}"));
	assert_int_equal(circuit_of(&reloads, A)->limits[CIRCUIT_CONNECTIONS], CIRCUIT_UNLIMITED);
	assert_int_equal(circuit_of(&reloads, A)->limits[CIRCUIT_RETRIES], 1);
	assert_null(circuit_of(&reloads, B));
	stop(&reloads);
}

static void what_is_taken_is_given_back_once(void **state)
{
	struct circuit_share first;
	struct circuit_share second;
	struct circuit *circuit;
	struct reloads reloads;

	(void)state;
	start(&reloads, RULE("a", "tcp: {maxConnections: 1}"));
	circuit = circuit_of(&reloads, A);
	circuit_join(&first, circuit);
	circuit_join(&second, circuit);
	assert_true(circuit_has_room(circuit, CIRCUIT_CONNECTIONS));
	assert_true(circuit_take(&first, CIRCUIT_CONNECTIONS));
	assert_true(circuit_take(&first, CIRCUIT_CONNECTIONS));
	assert_int_equal(circuit->used[CIRCUIT_CONNECTIONS], 1);
	assert_false(circuit_has_room(circuit, CIRCUIT_CONNECTIONS));
	assert_false(circuit_take(&second, CIRCUIT_CONNECTIONS));
	circuit_give(&second, CIRCUIT_CONNECTIONS);
	assert_int_equal(circuit->used[CIRCUIT_CONNECTIONS], 1);
	assert_int_equal(circuit->refused[CIRCUIT_CONNECTIONS], 1);
	circuit_force(&second, CIRCUIT_CONNECTIONS);
	assert_int_equal(circuit->used[CIRCUIT_CONNECTIONS], 2);
	circuit_give(&first, CIRCUIT_CONNECTIONS);
	circuit_give(&first, CIRCUIT_CONNECTIONS);
	assert_int_equal(circuit->used[CIRCUIT_CONNECTIONS], 1);
	/* What is not limited is counted all the same. */
	assert_true(circuit_take(&first, CIRCUIT_REQUESTS));
	assert_int_equal(circuit->used[CIRCUIT_REQUESTS], 1);
	circuit_leave(&first);
	circuit_leave(&second);
	for (size_t i = 0; i < CIRCUIT_RESOURCE_COUNT; i++)
		assert_int_equal(circuit->used[i], 0);
	/* Without a circuit everything may be had, and nothing is there to be given back. */
	circuit_join(&first, NULL);
	assert_true(circuit_take(&first, CIRCUIT_PENDING));
	circuit_force(&first, CIRCUIT_RETRIES);
	circuit_give(&first, CIRCUIT_RETRIES);
	circuit_leave(&first);
	stop(&reloads);
}

static void a_reload_keeps_the_counts(void **state)
{
	struct circuit_share share;
	struct circuit_share more;
	struct reloads reloads;
	struct circuit *circuit;

	(void)state;
	start(&reloads, RULE("a", "tcp: {maxConnections: 1}"));
	circuit = circuit_of(&reloads, A);
	circuit_join(&share, circuit);
	assert_true(circuit_take(&share, CIRCUIT_CONNECTIONS));
	reload(&reloads, RULE("b", "http: {maxRetries: 1}") RULE("a", "tcp: {maxConnections: 2}"));
	assert_ptr_equal(circuit_of(&reloads, A), circuit);
	assert_int_equal(circuit->limits[CIRCUIT_CONNECTIONS], 2);
	assert_int_equal(circuit->used[CIRCUIT_CONNECTIONS], 1);
	/* The rule goes, and comes again while its connection is there. */
	reload(&reloads, "");
	assert_int_equal(reloads.count, 0);
	assert_int_equal(circuit->limits[CIRCUIT_CONNECTIONS], CIRCUIT_UNLIMITED);
	assert_int_equal(count_all(&reloads.circuits), 2); /* that of b goes with the last version that has it */
	reload(&reloads, RULE("a", "tcp: {maxConnections: 1}"));
	assert_ptr_equal(circuit_of(&reloads, A), circuit);
	assert_int_equal(count_all(&reloads.circuits), 1);
	circuit_join(&more, circuit);
	assert_false(circuit_take(&more, CIRCUIT_CONNECTIONS));
	circuit_leave(&more);
	/* With the last of both it is gone. */
	reload(&reloads, "");
	circuit_leave(&share);
	reload(&reloads, "");
	assert_int_equal(count_all(&reloads.circuits), 0);
	stop(&reloads);
}

/* --- workers */

#define TURNS 20000

struct racer {
	struct circuit *circuit;
	_Atomic unsigned *most;
	unsigned had;
};

static void *race(void *argument)
{
	struct racer *racer = argument;
	struct circuit_share share;

	for (unsigned i = 0; i < TURNS; i++) {
		circuit_join(&share, racer->circuit);
		if (circuit_take(&share, CIRCUIT_CONNECTIONS)) {
			unsigned now = atomic_fetch_add(racer->most, 1);

			racer->had += now < 2;
			(void)atomic_fetch_sub(racer->most, 1);
		}
		circuit_leave(&share);
	}
	return NULL;
}

static void workers_share_the_limit(void **state)
{
	struct racer racers[4];
	pthread_t threads[4];
	_Atomic unsigned inside = 0;
	struct reloads reloads;
	unsigned had = 0;

	(void)state;
	start(&reloads, RULE("a", "tcp: {maxConnections: 2}"));
	for (size_t i = 0; i < 4; i++) {
		racers[i] = (struct racer){.circuit = circuit_of(&reloads, A), .most = &inside};
		assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
	}
	for (size_t i = 0; i < 4; i++) {
		(void)pthread_join(threads[i], NULL);
		had += racers[i].had;
	}
	/* Whoever got in found room, and all who tried either got in or were refused. */
	assert_int_equal(had + circuit_of(&reloads, A)->refused[CIRCUIT_CONNECTIONS], 4 * TURNS);
	assert_int_equal(circuit_of(&reloads, A)->used[CIRCUIT_CONNECTIONS], 0);
	stop(&reloads);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits_are_those_of_the_rule),
		cmocka_unit_test(what_is_taken_is_given_back_once),
		cmocka_unit_test(a_reload_keeps_the_counts),
		cmocka_unit_test(workers_share_the_limit),
	};

	return cmocka_run_group_tests_name("circuit", tests, NULL, NULL);
}
