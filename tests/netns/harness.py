# SPDX-License-Identifier: Apache-2.0
"""
What the tests in network namespaces share: the namespaces themselves, programs inside them, and TAP on stdout.
"""
import ctypes
import os
import signal
import subprocess

BUILD = os.environ.get("WEIR_BUILD", "build")
CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)
LINE_LIMIT = 500  # of a problem's lines in the report


def run(*command, **options):
    """The stdout of a command that must succeed."""
    return subprocess.run(command, check=True, text=True, capture_output=True, **options).stdout


def namespace_name(role):
    """A name that no other run of the tests uses."""
    return f"weir-{role}-{os.getpid()}"


def inside(name, *command):
    """The command that runs `command` in a network namespace."""
    return ("nsenter", f"--net=/run/netns/{name}", *command)


def sanitizer_options():
    """What a test that sets an environment of its own must still pass on."""
    return {name: os.environ[name] for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS") if name in os.environ}


def set_namespace(fd):
    if LIBC.setns(fd, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def enter(name):
    """Takes the calling thread into a network namespace."""
    with open(f"/run/netns/{name}") as namespace:
        set_namespace(namespace.fileno())


def remove_namespace(name):
    """Ends what still runs inside, but never this process."""
    pids = subprocess.run(["ip", "netns", "pids", name], check=False, capture_output=True, text=True).stdout.split()
    for pid in pids:
        if int(pid) != os.getpid():
            os.kill(int(pid), signal.SIGKILL)
    subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def named_tests(names):
    """(title, function) of each test_ function of a module's globals(), in their order."""
    return [(name.removeprefix("test_"), value) for name, value in names.items() if name.startswith("test_")]


def problems_of(test):
    """A test returns what is wrong, as a list of texts, or raises."""
    try:
        return test() or []
    except subprocess.CalledProcessError as error:
        return [f"{error.cmd}: {error.stderr}"]
    except Exception as error:  # whatever it was: the other tests still run
        return [repr(error)]


def main(namespaces, tests, prepare=lambda: None):
    """Makes the namespaces, runs (title, function) pairs, and removes the namespaces. Returns the exit status."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    failed = 0
    print(f"1..{len(tests)}", flush=True)
    try:
        for name in namespaces:
            run("ip", "netns", "add", name)
        prepare()
        for number, (title, test) in enumerate(tests, 1):
            problems = problems_of(test)
            failed += bool(problems)
            print(f"{'not ok' if problems else 'ok'} {number} - {title}", flush=True)
            for line in "\n".join(problems).splitlines():
                print(f"# {line[:LINE_LIMIT]}", flush=True)
    finally:
        set_namespace(home)
        for name in namespaces:
            remove_namespace(name)
    return 1 if failed else 0
