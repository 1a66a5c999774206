#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
What is rare, made to happen: every allocation of a program fails once, netlink fails in every way that a kernel can make
it fail, a table belongs to somebody else, a socket buffer is too small.

An allocation that fails is worth an error that names memory, or nothing at all: then everything was done. Never a
crash, never a hang, never half a table, never a difference that is not there. (Nothing is excepted: where there is no
memory for stdout's buffer, the C library writes byte by byte.)

tests/fault/fault.c makes things fail. It passes allocations on to ASan, so the sanitized programs run with it, too;
their runtime only may not insist on being the first library. WEIR_FAULT_STRIDE is the step from one failing allocation
to the next. TAP on stdout.
"""
import errno
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import harness
from harness import BUILD

WORKERS = os.cpu_count() or 1
NAMESPACES = [harness.namespace_name(f"fault{i}") for i in range(WORKERS)]
SANITIZED = "asan" in BUILD
# A sanitized run takes four times as long, and looks for leaks on ways that are much alike.
STRIDE = int(os.environ.get("WEIR_FAULT_STRIDE", 3 if SANITIZED else 1))
TIMEOUT = 20
SHOWN = 5  # of the failures of one row
RANGES_MANY, RANGES_FEW = 100000, 100
BYTES_OF_RANGE = 40  # in a transaction, at least
DIFFERENCE = 104  # the code of CHECK that found one
HOME = os.open("/proc/self/ns/net", os.O_RDONLY)

ANNOTATIONS = "io.kubernetes.cri.pod-annotations"
TRAFFIC = "traffic.sidecar.istio.io/"

Run = namedtuple("Run", "status out err injected")


def options_of(name, extra):
    """The sanitizers' options, with one more. Leaks are looked for only where a failure may have caused one."""
    return {**harness.sanitizer_options(), name: ":".join(filter(None, [os.environ.get(name), extra]))}


class Place:
    """A namespace, and programs in it. One thread uses it."""

    def __init__(self, name):
        self.name = name
        self.namespace = os.open(f"/run/netns/{name}", os.O_RDONLY)
        self.report = os.memfd_create("fault")

    def run(self, command, fault=None):
        """Runs a command, and tells whether the fault happened."""
        environment = {"PATH": os.environ["PATH"], **harness.sanitizer_options(), **command.environment}
        if fault is not None:
            environment.update(fault, **options_of("ASAN_OPTIONS", "verify_asan_link_order=0"), MALLOC_PERTURB_="165",
                               LD_PRELOAD=os.path.abspath(f"{BUILD}/tests/fault/libfault.so"), WEIR_FAULT_FD=str(self.report))
        if "CNI_COMMAND" in environment:
            environment["CNI_NETNS"] = f"/run/netns/{self.name}"
        os.ftruncate(self.report, 0)
        # weir-cni goes into the namespace itself, and refuses the one that it is started in.
        harness.set_namespace(HOME if "CNI_COMMAND" in environment else self.namespace)
        try:
            result = subprocess.run(command.words, input=command.stdin, env=environment, capture_output=True, text=True,
                                    check=False, timeout=TIMEOUT, pass_fds=[self.report])
        except subprocess.TimeoutExpired:
            return Run("timeout", "", "", True)
        finally:
            harness.set_namespace(HOME)
        return Run(result.returncode, result.stdout, result.stderr, os.fstat(self.report).st_size > 0)

    def ruleset(self):
        """All that is in the namespace, but for counters."""
        return self.run(Command(["sh", "-c", "nft -s list ruleset; ip rule; ip -6 rule; ip route show table 133"])).out

    def set_up(self, command):
        """Makes the namespace what a command makes of an empty one."""
        self.run(Command(["sh", "-c", f"ip link set lo up; {BUILD}/weir-init --cleanup-only; nft flush ruleset"]))
        if command is not None:
            result = self.run(command)
            assert result.status == 0, result
        return self.ruleset()


class Command:
    def __init__(self, words, stdin="", **environment):
        self.words, self.stdin, self.environment = words, stdin, environment


def init(*arguments, **environment):
    return Command([f"{BUILD}/weir-init", *arguments], **environment)


def cni(verb, ranges, **keys):
    annotations = {TRAFFIC + "includeOutboundIPRanges": ranges, TRAFFIC + "excludeOutboundPorts": "5432,1-3", "a": "b"}
    stdin = {"cniVersion": "1.0.0", "name": "pods", "type": "weir-cni", "logFile": "", "excludeNamespaces": ["x"],
             "capabilities": {ANNOTATIONS: True}, "runtimeConfig": {ANNOTATIONS: annotations},
             "defaults": {"excludeInterfaces": ["net1", "eth+"], "includeOutboundPorts": 8443}, "proxyUID": [1337, "77"],
             "prevResult": {"cniVersion": "1.0.0", "interfaces": [{"name": "eth0"}], "x": [1, 1.5, None, True, "\"q\u00e9"]},
             **keys}
    return Command([f"{BUILD}/weir-cni"], json.dumps(stdin), CNI_COMMAND=verb, CNI_CONTAINERID="abc", CNI_IFNAME="eth0",
                   CNI_ARGS="IgnoreUnknown=1;K8S_POD_NAMESPACE=team-a;K8S_POD_NAME=web-0")


RANGES = "10.0.0.0/8,fd00::/8,192.0.2.1"
ADD, CHECK, DEL = (cni(verb, RANGES) for verb in ("ADD", "CHECK", "DEL"))
OTHER = cni("ADD", "198.51.100.0/24")
WIDE = ["-i", "*", "-b", "*", "-d", "22", "-m", "TPROXY", "-k", "tap0", "--redirect-dns", "--dns-servers", "10.0.0.53", "--drop-invalid"]
POLICY = ["-i", RANGES, "-o", "5432", "--proxy-gid", "nogroup,7"]


def commands(path):
    """Of weir-init, by what they are told."""
    rules = [*POLICY, "-x", f"@{path}"]
    return {"apply": init(*rules), **{word: init(*rules, f"--{word}") for word in ("check", "diff", "dry-run", "force-apply")},
            "json": init(*rules, "--format=json"), "named user": init(*rules, "--dry-run", ENVOY_USER="nobody"),
            "explain": init(*rules, "--explain", "10.1.2.3:443", "--uid", "1000"), "cleanup": init("--cleanup-only"),
            "wide": init(*WIDE), "wide check": init(*WIDE, "--check"), "iptables": init(*WIDE, "--format=iptables"),
            "explain JSON": init(*rules, "--explain", "[fd00::1]:5432", "--json"), "other": init("-i", "198.51.100.0/24")}


# --- allocations

def is_good_error(command, result):
    """An error that a user can read, and that says what it was."""
    if "CNI_COMMAND" not in command.environment:
        return "memory" in result.err.lower()
    try:
        answer = json.loads(result.out)
    except ValueError:
        return False
    return isinstance(answer.get("code"), int) and answer["code"] not in (0, DIFFERENCE) and "memory" in answer["msg"].lower()


def judge(command, result, clean, table, old, new):
    """What is wrong with a run in which an allocation failed, or None."""
    if table not in (old, new):
        return f"the table is neither the old nor the new one: {table}"
    # What the plugin logs has the time in it.
    shown = 2 if "CNI_COMMAND" in command.environment else 3
    if result[:shown] == clean[:shown]:
        return None if table == new else "it says that all is done"
    if result.status != 1 or "Sanitizer" in result.err:
        return f"exit {result.status}"
    return None if is_good_error(command, result) else "no error that names memory"


def fail_allocations(place, command, before, numbers, problems):
    """Lets one allocation after the other fail, as `numbers` has them. Returns how many there are at most."""
    old = place.set_up(before)
    clean = place.run(command, {})
    new = place.ruleset()
    table = None
    for number in numbers:
        if table != old:
            place.set_up(before)
        result = place.run(command, {"WEIR_FAIL_ALLOCATION": str(number)})
        table = place.ruleset()
        wrong = judge(command, result, clean, table, old, new)
        if wrong:
            problems.append(f"allocation {number}: {wrong}: {result.status} {result.out[:200]!r} {result.err[-2000:]!r}")
        if not result.injected:
            return number - 1
    return 0


def allocations(places, command, before):
    problems = []
    numbers = itertools.count(1, STRIDE)
    with ThreadPoolExecutor(WORKERS) as pool:
        counts = list(pool.map(lambda place: fail_allocations(place, command, before, numbers, problems), places))
    # What fails is the program, not this test, which would go on for ever if nothing were counted.
    print(f"#   {min(counts)} allocations, step {STRIDE}", flush=True)
    return ([f"{len(problems)} runs"] + problems[:SHOWN] if problems else []) + \
           (["hardly any allocation was seen"] if min(counts) < 3 else [])


def allocation_tests(path):
    weir = commands(path)
    apply, other = weir["apply"], weir["other"]
    for title, command, before in (
            ("ADD to a fresh namespace", ADD, None), ("ADD where an equal table is", ADD, ADD),
            ("ADD where another table is", ADD, OTHER), ("CHECK of an equal table", CHECK, ADD),
            ("CHECK of another table", CHECK, OTHER), ("DEL", DEL, ADD),
            ("weir-init in a fresh namespace", apply, None), ("weir-init where an equal table is", apply, apply),
            ("weir-init where another table is", apply, other), ("weir-init --check of an equal table", weir["check"], apply),
            ("weir-init --check of another table", weir["check"], other), ("weir-init --diff", weir["diff"], other),
            ("weir-init --dry-run", weir["dry-run"], None), ("weir-init --format=json", weir["json"], None),
            ("weir-init with TPROXY in a fresh namespace", weir["wide"], None), ("weir-init with TPROXY where redirection is", weir["wide"], apply),
            ("weir-init where TPROXY is", apply, weir["wide"]), ("weir-init --check of TPROXY", weir["wide check"], weir["wide"]),
            ("weir-init --cleanup-only of TPROXY", weir["cleanup"], weir["wide"]), ("weir-init --format=iptables", weir["iptables"], None),
            ("weir-init and a user's name", weir["named user"], None), ("weir-init --explain", weir["explain"], None),
            ("weir-init --explain --json", weir["explain JSON"], None), ("weir-init --cleanup-only", weir["cleanup"], apply)):
        yield f"any allocation fails: {title}", command, before


# --- netlink

INIT_FAULTS = [
    # what happens, exit status, what is said, and whether the rules are there afterwards
    (f"repeat:{errno.EINTR}:3", 0, "created", True),
    (f"sendmsg:{errno.ENOBUFS}:1", 1, "cannot send the transaction: No buffer space available", False),
    (f"sendmsg:{errno.ENOMEM}:1", 1, "cannot send the transaction: Cannot allocate memory", False),
    (f"recv:{errno.ENOBUFS}:1", 0, "created", True),
    (f"recv:{errno.ENOBUFS}:0", 0, "created", True),
    (f"recv:{errno.EAGAIN}:1", 0, "created", True),
    (f"recv:{errno.EBADF}:1", 1, "cannot read the acknowledgements", True),
    (f"ack:{errno.EAGAIN}:1", 0, "created", True),
    (f"ack:{errno.EAGAIN}:0", 1, "Resource temporarily unavailable", False),
    (f"ack:{errno.EPERM}:1", 1, "Operation not permitted", False),
    (f"ack:{errno.EEXIST}:1", 0, "created", True),
    # The first looks at routing, which six requests with nine answers are for.
    (f"socket:{errno.EMFILE}:1", 1, "cannot open a netlink socket to routing: Too many open files", False),
    (f"socket:{errno.EMFILE}:2", 1, "cannot open a netlink socket to netfilter: Too many open files", False),
    (f"socket:{errno.ENOMEM}:2", 1, "cannot open a netlink socket to netfilter: Cannot allocate memory", False),
    (f"socket:{errno.EAFNOSUPPORT}:1", 1, "Protocol not supported", False),
    *((f"sendto:{errno.ENOBUFS}:{n}", 1, "cannot read the namespace's routes and rules: No buffer space available", False) for n in (1, 6)),
    *((f"recvmsg:{errno.ENOBUFS}:{n}", 1, "cannot read the namespace's routes and rules: No buffer space available", False) for n in (1, 9)),
    (f"sendto:{errno.ENOBUFS}:7", 1, "cannot look for the table inet weir: No buffer space available", False),
    (f"recvmsg:{errno.ENOBUFS}:10", 1, "cannot look for the table inet weir: No buffer space available", False),
]


def netlink_faults(places, path):
    place, problems = places[0], []
    apply = commands(path)["apply"]
    for before in (None, commands(path)["other"]):
        old = place.set_up(before)
        place.run(apply)
        new = place.ruleset()
        for fault, status, words, applied in INIT_FAULTS:
            place.set_up(before)
            result = place.run(apply, {"WEIR_FAULT": fault})
            words = words.replace("created", "created" if before is None else "replaced")
            if before is not None and fault.startswith("ack") and str(errno.EEXIST) in fault:
                continue  # nothing is created exclusively there
            if not result.injected or result.status != status or words not in result.err or \
                    place.ruleset() != (new if applied else old):
                problems.append(f"{fault}: {result}, the rules are {'' if place.ruleset() == new else 'not '}there")
    return problems


def check_faults(places, path):
    """A comparison that could not be made finds nothing, and says so."""
    place, problems = places[0], []
    weir = commands(path)
    place.set_up(weir["apply"])
    for command, status, words in ((weir["check"], 1, "cannot read the table inet weir back"), (CHECK, 1, '"code":102')):
        for number in (1, 3, 7):
            result = place.run(command, {"WEIR_FAULT": f"recvmsg:{errno.ENOBUFS}:{number}"})
            if not result.injected or result.status != status or words not in result.out + result.err:
                problems.append(f"{words}: {result}")
    result = place.run(ADD, {"WEIR_FAULT": f"socket:{errno.EAFNOSUPPORT}:1"})
    if json.loads(result.out).get("code") != 101:
        problems.append(f"no nf_tables: {result}")
    return problems


def owned_table(places, path):
    """A table that belongs to a process: only that one may touch it."""
    place, problems = places[0], []
    weir = commands(path)
    place.set_up(None)
    owner = subprocess.Popen(harness.inside(place.name, "nft", "-i"), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    owner.stdin.write("add table inet weir { flags owner; }\n")
    owner.stdin.flush()
    end = time.monotonic() + TIMEOUT
    while "flags owner" not in place.ruleset() and time.monotonic() < end:
        time.sleep(0.01)
    before = place.ruleset()
    for title, command, status, words in (
            ("apply", weir["apply"], 1, "Operation not permitted"), ("cleanup", weir["cleanup"], 1, "Operation not permitted"),
            ("ADD", ADD, 1, "Operation not permitted"), ("DEL", DEL, 1, "Operation not permitted"),
            ("CHECK", CHECK, 1, "owned by a process"), ("--check", weir["check"], 3, "owned by a process")):
        result = place.run(command)
        if result.status != status or words not in result.out + result.err or place.ruleset() != before:
            problems.append(f"{title}: {result}")
    owner.stdin.close()
    owner.wait()
    result = place.run(ADD)
    return problems + ([] if result.status == 0 else [f"after the owner's end: {result}"])


def in_user_namespace(_place, arguments):
    """There, no buffer can be made larger by force."""
    script = f"{BUILD}/weir-init {' '.join(arguments)}; s=$?; nft list tables; exit $s"
    result = subprocess.run(["unshare", "-Urn", "sh", "-c", script], capture_output=True, text=True, check=False,
                            timeout=TIMEOUT * 3)
    return Run(result.returncode, result.stdout, result.stderr, True)


def without_force(place, arguments):
    place.set_up(None)
    result = place.run(init(*arguments), {"WEIR_FAULT": f"force:{errno.EPERM}:0"})
    return result._replace(out=place.run(Command(["nft", "list", "tables"])).out, injected=True)


def too_small_buffer(places, folder):
    """What does not fit is said with its size, and nothing is applied."""
    problems = []
    with open("/proc/sys/net/core/wmem_max") as limit:
        # The kernel doubles what a socket is given.
        many = max(RANGES_MANY, 2 * int(limit.read()) // BYTES_OF_RANGE + RANGES_MANY // 10)
    ways = [without_force]
    # In a chroot the kernel makes no user namespace.
    if subprocess.run(["unshare", "-Ur", "true"], check=False, capture_output=True).returncode == 0:
        ways.append(in_user_namespace)
    for way, (count, status, words) in itertools.product(ways, (
            (RANGES_FEW, 0, "created"), (many, 1, r"the transaction has \d+ bytes, and the socket may hold \d+: raise"))):
        path = f"{folder}/{count}"
        with open(path, "w") as ranges:
            ranges.writelines(f"{10 + (i >> 15)}.{i >> 7 & 255}.{i % 128 * 2}.0/24\n" for i in range(count))
        result = way(places[0], ["-i", f"@{path}"])
        if result.status != status or not re.search(words, result.err) or ("inet weir" in result.out) != (status == 0):
            problems.append(f"{way.__name__}, {count} ranges: {result}")
    return problems


def main():
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/ranges"
        with open(path, "w") as ranges:
            ranges.write("203.0.113.0/24\n# documentation\n2001:db8::/32")
        places = []
        tests = [(title, partial(allocations, places, command, before))
                 for title, command, before in allocation_tests(path)]
        tests += [("netlink fails", partial(netlink_faults, places, path)),
                  ("reading back fails", partial(check_faults, places, path)),
                  ("a table that belongs to a process", partial(owned_table, places, path)),
                  ("a socket buffer that is too small", partial(too_small_buffer, places, folder))]
        return harness.main(NAMESPACES, tests, lambda: places.extend(map(Place, NAMESPACES)))


if __name__ == "__main__":
    sys.exit(main())
