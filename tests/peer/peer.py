#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
weir-init's rules and a model of Istio's decisions, compared by what happens to real packets.

Without an argument this is the short form that `make check` runs. --all is the whole, and --mutations shows that the
suite would notice the lack of any one rule; `make peer` runs both. Reruns with the same and with
other settings, changes of mode and clean-ups are on the way from one configuration to the next: whatever was there
before, packets go where the model says, and a clean-up leaves the namespace as it was. TAP on stdout.

WEIR_PEER_SEED (printed) chooses random configurations and samples, WEIR_PEER_RANDOM says how many, WEIR_PEER_ONLY is a
regular expression of the tests to run.
"""
import itertools
import os
import random
import re
import sys
from functools import partial

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "netns"))

# pylint: disable=wrong-import-position
import configurations  # noqa: E402
import harness  # noqa: E402
import plugin  # noqa: E402
import probes  # noqa: E402
from configurations import command  # noqa: E402
from lab import NAMESPACES, Lab  # noqa: E402
from model import Configuration, captures_dns  # noqa: E402
from mutations import Mutations  # noqa: E402
from prober import Prober  # noqa: E402
from state import differences, snapshot  # noqa: E402

ALL, MUTATIONS = ("--all" in sys.argv[1:]), ("--mutations" in sys.argv[1:])
SEED = int(os.environ.get("WEIR_PEER_SEED", random.SystemRandom().randrange(1 << 32)))
RANDOM = int(os.environ.get("WEIR_PEER_RANDOM", 300 if ALL else 20))
ONLY = re.compile(os.environ.get("WEIR_PEER_ONLY", ""))
BACKENDS = {
    "nft": ("--backend", "nft"),
    "iptables-nft": ("--backend", "iptables", "--force-iptables-binary", "nft"),
    "iptables-legacy": ("--backend", "iptables", "--force-iptables-binary", "legacy"),
}
FEW = 10  # configurations of the iptables backend in the short form
A_TEST = 20  # random configurations
SAMPLE = 80  # of the packets of a configuration
AWHILE = 0.3  # seconds, in which what must not come would have come
SHOWN = 8  # mismatches of a configuration
NOTHING = Configuration(name="nothing", mode="NONE")


class Suite:
    def __init__(self):
        self.lab = self.prober = self.pristine = None

    def prepare(self):
        self.lab = Lab()
        self.prober = Prober(self.lab)
        self.prober.serve(NOTHING)
        self.prober.probe(list(probes.entering(NOTHING)))  # neighbours meet
        self.pristine = snapshot(self.lab)

    # --- steps: each returns what is wrong

    def run(self, backend, config, *more):
        result = self.lab.weir(config, *BACKENDS[backend], *more, check=False)
        if result.returncode != 0:
            return [f"{asked(backend, config)}: exit {result.returncode}: {result.stderr.strip()}"], ""
        return [], result.stdout + result.stderr

    def apply(self, backend, config):
        self.prober.serve(config)
        return self.run(backend, config)[0]

    def look(self, backend, config, packets):
        """Packets against the model."""
        wrong = self.prober.mismatches(packets)
        shown = [f"  {describe(packet)}: expected {expected}, was {who}" for packet, expected, who in wrong[:SHOWN]]
        return [f"{asked(backend, config)}: {len(wrong)} of {len(packets)} packets:", *shown] if wrong else []

    def look_at_reuse(self, backend, config):
        wrong = self.prober.reuse_mismatches(list(probes.reuses(config)))
        return [f"{asked(backend, config)}: a source port again: {describe(packet)}: expected {expected}, was {who}"
                for packet, expected, who in wrong[:SHOWN]]

    def look_without_proxy(self, backend, config, packets):
        """What is captured never gets past a proxy that does not listen."""
        wrong = self.prober.escapes(packets, AWHILE)
        return [f"{asked(backend, config)}: no proxy, but {describe(packet)}: was {seen}"
                for packet, _, seen in wrong[:SHOWN]]

    def rerun(self, backend, config):
        """The same again changes nothing, and says so."""
        before = snapshot(self.lab)
        wrong, said = self.run(backend, config)
        if not wrong and "unchanged" not in said:
            wrong = [f"{asked(backend, config)}: a rerun says {said.strip()!r}"]
        return wrong + [f"after a rerun: {line}" for line in differences(before, snapshot(self.lab))]

    def clean_up(self, backend, config):
        wrong, _ = self.run(backend, config, "--cleanup-only")
        self.prober.serve(NOTHING)
        return (wrong + [f"after a clean-up: {line}" for line in differences(self.pristine, snapshot(self.lab))]
                + self.look(backend, NOTHING, probes.sample(random.Random(SEED), NOTHING, SAMPLE)))

    # --- tests

    def whole_life(self, backend, config):
        """Every packet; then a sample after a rerun, after changes, of the mode, too, and after the clean-up."""
        dice = random.Random(f"{SEED} {config.name}")
        wrong = self.apply(backend, config)
        if wrong:  # nothing else would be worth reading
            return wrong + self.clean_up(backend, config)
        wrong += self.look(backend, config, probes.all_packets(config) if ALL else probes.sample(dice, config, 200))
        if captures_dns(config):
            wrong += self.look_at_reuse(backend, config)
        wrong += self.look_without_proxy(backend, config, probes.sample(dice, config, SAMPLE))
        wrong += self.rerun(backend, config) + self.look(backend, config, probes.sample(dice, config, SAMPLE))
        others = [configurations.variation(dice, config), configurations.switched(config)]
        for other in [*others, config] if ALL else [dice.choice(others)]:
            wrong += self.apply(backend, other)
            wrong += self.look(backend, other, probes.sample(dice, other, SAMPLE))
        return wrong + self.clean_up(backend, other)

    def random_walk(self, backend, start):
        """From one random configuration to the next."""
        wrong = []
        for number in range(start, min(start + A_TEST, RANDOM)):
            dice = random.Random(f"{SEED} {number}")
            config = configurations.random_configuration(dice, number)
            failed = self.apply(backend, config)
            wrong += failed or self.look(backend, config, probes.sample(dice, config, SAMPLE))
        return wrong + self.clean_up(backend, Configuration())  # it needs no settings

    def by_plugin(self, config):
        """The same settings by annotation and conflist do the same, and DEL leaves nothing."""
        self.prober.serve(config)
        harness.set_namespace(self.lab.home)
        status, said = plugin.call("ADD", config)
        wrong = [f"ADD: exit {status}: {said.strip()}"] if status != 0 else []
        wrong = wrong or self.look("nft", config, probes.sample(random.Random(SEED), config, 2 * SAMPLE))
        harness.set_namespace(self.lab.home)
        status, said = plugin.call("DEL", config)
        wrong += [f"DEL: exit {status}: {said.strip()}"] if status != 0 else []
        return wrong + [f"after DEL: {line}" for line in differences(self.pristine, snapshot(self.lab))]

    def tests(self):
        mutations, dice = Mutations(self), random.Random(SEED)
        every = configurations.PEER + configurations.OURS
        for config in filter(plugin.can_say, every if ALL else configurations.OURS):
            yield f"plugin: {config.name}", partial(self.by_plugin, config)
        for backends, configs in ((("nft",), every),
                                  (("iptables-nft", "iptables-legacy"), every if ALL else dice.sample(every, FEW))):
            turns = itertools.cycle(dice.sample(backends, len(backends)))
            for config in configs:
                backend = next(turns)
                yield f"{backend}: {config.name}", partial(self.whole_life, backend, config)
            for start in range(0, RANDOM, A_TEST):
                backend = next(turns)
                yield (f"{backend}: random configurations {start} to {min(start + A_TEST, RANDOM) - 1}",
                       partial(self.random_walk, backend, start))
        for backend in ("nft", "iptables-nft") if MUTATIONS else ():
            yield f"{backend}: every rule is missed when it is gone", partial(mutations.test, backend)


def asked(backend, config):
    """What a person would type."""
    return " ".join([command(config), *BACKENDS[backend]])


def describe(packet):
    what = [f"{packet.protocol} from {packet.place} to {packet.destination} port {packet.port} by {packet.link}"]
    what += [f"as {packet.uid}:{packet.gid}"] if packet.place == "pod" else []
    what += [f"source {packet.source}"] if packet.source else []
    what += [f"mark {packet.mark}"] if packet.mark else []
    return ", ".join(what)


def main():
    suite = Suite()
    print(f"# WEIR_PEER_SEED={SEED}", flush=True)
    tests = [(title, test) for title, test in suite.tests() if ONLY.search(title)]
    return harness.main(NAMESPACES.values(), tests, suite.prepare)


if __name__ == "__main__":
    sys.exit(main())
