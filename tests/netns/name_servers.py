#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The proxy and the names that its policy needs: whom it asks, what it makes of the answers, and what it does where there is
none. TAP on stdout.
"""
import os
import sys

import relay
from nameserver import Server
from policy_world import DIALLED, HttpOrigin, echo, service_entry
from reload import Watched
from relay import OUTSIDE, connect, enter, equal, wait_for

ADDRESS, MOVED = "10.1.1.1", "10.1.1.2"
HOST, OTHER = "origin.example", "other.example"
SECOND = "10.53.0.54"


def second_server(**names):
    """Another name server outside."""
    enter(OUTSIDE)
    server = Server(SECOND)
    try:
        server.start()
    except OSError:
        server.stop()
        return None
    server.names = names
    return server


# --- resolv.conf

def test_a_name_server_is_replaced(folder):
    """A rename, a write in place, and a link that is swapped; each is taken up, and what is known stays."""
    with Watched(folder, origin=service_entry(HOST)) as world, HttpOrigin():
        world.become(200)
        world.server.stop()
        server = wait_for("the second server", second_server)
        asked = 0
        for number, change in enumerate(("rename", "write", "link")):
            name = f"{change}.example"
            server.names[name] = world.server.names[HOST]
            world.told.clear()
            # Another text each time.
            text = f"nameserver {SECOND}\n# {number}\n"
            if change == "rename":
                world.write("../resolv.conf", text)
            elif change == "write":
                with open(f"{folder}/resolv.conf", "w", encoding="ascii") as file:
                    file.write(text)
            else:
                os.mkdir(f"{folder}/elsewhere")
                with open(f"{folder}/elsewhere/resolv.conf", "w", encoding="ascii") as file:
                    file.write(text)
                os.symlink("elsewhere/resolv.conf", f"{folder}/link")
                os.rename(f"{folder}/link", f"{folder}/resolv.conf")
            world.hear(r"resolv\.conf has changed: its DNS servers are asked")
            world.apply(change, service_entry(name))
            world.become(200, name)
            equal("the second server was asked", server.count(name) > 0, True)
            equal("what is known", (world.status(), server.count(HOST)), (200, asked))
        server.stop()


def test_a_file_that_comes_and_goes(folder):
    """Without one, 127.0.0.1 is asked, and told once; when it goes, the servers stay."""
    with Watched(folder, arguments=("--resolv-conf", f"{folder}/later.conf"), origin=service_entry(HOST)) as world, HttpOrigin():
        world.hear(r"cannot read .*/later\.conf: No such file or directory; 127\.0\.0\.1 is asked for names")
        equal("nobody answers", world.status(), 503)
        world.write("../later.conf", f"nameserver {world.server.address[0]}\n")
        world.become(200)
        os.unlink(f"{folder}/later.conf")
        world.hear(r"cannot read .*/later\.conf: No such file or directory; the DNS servers stay as they were")
        world.apply("other", service_entry(OTHER))
        world.become(200, OTHER)
        equal("told", len([line for line in world.told if "later.conf" in line]), 3)


def test_a_file_without_servers(folder):
    """It is told once, whom that means; a file that is just being written means nothing yet."""
    with Watched(folder, origin=service_entry(HOST)) as world, HttpOrigin():
        world.become(200)
        for text, note in (("", "it names no server: 127.0.0.1 is asked"),
                           ("nameserver nowhere.example\n", "127.0.0.1 is asked, since no other server is named: line 1: "
                            '"nowhere.example" is no server\'s address, and is passed over')):
            world.told.clear()
            world.write("../resolv.conf", text)
            world.hear(note.replace(".", r"\."))
            world.hear("has changed: its DNS servers are asked")
            equal("what is known", world.status(), 200)
            world.write("../resolv.conf", f"nameserver {world.server.address[0]}\n")
            wait_for("the change back", lambda: len([line for line in world.told if "its DNS servers are asked" in line]) == 2)
            equal("told", len(world.told), 3)
        world.apply("other", service_entry(OTHER))
        world.become(200, OTHER)


def test_servers_that_cannot_be_used(folder):
    """An interface that is not there: it is told once, and the servers stay; and are taken when it is there."""
    with Watched(folder, origin=service_entry(HOST)) as world, HttpOrigin():
        world.write("../resolv.conf", "nameserver fe80::53%none0\n")
        world.hear(r"there is no interface none0 for a DNS server; the DNS servers stay as they were")
        world.apply("other", service_entry(OTHER))
        world.become(200, OTHER)
        equal("told", len([line for line in world.told if "none0" in line]), 1)
        relay.run("ip", "-n", relay.POD, "link", "add", "none0", "type", "veth", "peer", "name", "none1")
        try:
            world.hear("has changed: its DNS servers are asked")
        finally:
            relay.run("ip", "-n", relay.POD, "link", "delete", "none0")


# --- names

def test_a_bad_name_stops_no_other(folder):
    """It is told with its file and line; those beside it are resolved, also ahead of who asks for them."""
    bad = ".".join(["a" * 63] * 4)
    tcp = service_entry("tcp.example", 9000, "TCP")
    with Watched(folder, origin=service_entry(HOST), names={"tcp.example": MOVED}) as world, HttpOrigin(), \
            relay.Origin(9000, relay.echo_upper):
        world.apply("bad", f"---\n{service_entry(bad, name='bad')}---\n{service_entry('late.example')}")
        world.apply("tcp", tcp)
        world.hear(rf"warning: .*bad\.yaml:\d+: ServiceEntry default/bad: spec\.hosts\[0\]: {bad} is a name that DNS cannot")
        wait_for("the names to be asked for", lambda: world.server.count("late.example") and world.server.count("tcp.example"))
        world.server.names["late.example"] = world.server.names[HOST]
        world.become(200)
        equal("the bad name", world.status(bad), 503)
        wait_for("by what a name resolves to", lambda: world.send(b"hello", MOVED, 9000) == b"HELLO")


if __name__ == "__main__":
    sys.exit(relay.main(globals()))
