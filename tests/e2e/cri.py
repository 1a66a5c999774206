# SPDX-License-Identifier: Apache-2.0
"""
A client of the Container Runtime Interface, as far as pod sandboxes go: protobuf by hand, gRPC by curl.

The messages are few and small, so no generated code is needed: a field is a number, a type and a value, a map is a
repeated field of pairs, and gRPC puts five bytes before a message and its status into HTTP/2 trailers.
"""
import os
import subprocess
import tempfile
import urllib.parse

SERVICE = "http://localhost/runtime.v1.RuntimeService"
SECONDS = "60"


class Refused(Exception):
    """What the runtime said."""


# --- protobuf: a message is a dictionary of field numbers; a map of texts has texts as keys

def varint(number):
    out = bytearray()
    while number > 0x7f:
        out.append(number & 0x7f | 0x80)
        number >>= 7
    return bytes(out) + bytes([number])


def encode_field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, dict) and value and all(isinstance(key, str) for key in value):
        return b"".join(encode_field(number, {1: key, 2: text}) for key, text in value.items())
    data = encode(value) if isinstance(value, dict) else value.encode()
    return varint(number << 3 | 2) + varint(len(data)) + data


def encode(message):
    return b"".join(encode_field(number, value) for number, value in message.items())


def first_text(data):
    """The text of field 1, which opens the answer and is shorter than 128 bytes."""
    return data[2:2 + data[1]].decode() if data[:1] == b"\x0a" else ""


# --- gRPC

def call(socket, method, message):
    """The answer's bytes. Raises Refused with the status's text."""
    body = encode(message)
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: os.path.join(folder, name) for name in ("request", "trailers", "answer")}
        with open(paths["request"], "wb") as out:
            out.write(b"\0" + len(body).to_bytes(4, "big") + body)
        subprocess.run(["curl", "-sS", "--max-time", SECONDS, "--http2-prior-knowledge", "--unix-socket", socket,
                        "-H", "content-type: application/grpc", "-H", "te: trailers",
                        "--data-binary", f"@{paths['request']}", "-D", paths["trailers"], "-o", paths["answer"],
                        f"{SERVICE}/{method}"], check=True, capture_output=True, text=True)
        with open(paths["trailers"]) as trailers:
            said = {name: text.strip() for name, _, text in (line.partition(":") for line in trailers)}
        if said.get("grpc-status") != "0":
            raise Refused(urllib.parse.unquote(said.get("grpc-message", "no status")))
        with open(paths["answer"], "rb") as answer:
            return answer.read()[5:]


# --- what a kubelet asks for

def sandbox_config(namespace, name, annotations, cgroup_parent):
    config = {1: {1: name, 2: f"uid-{name}", 3: namespace}, 2: name, 8: {1: cgroup_parent}}
    if annotations:
        config[7] = annotations
    return config


def run_sandbox(socket, config):
    """The sandbox's id."""
    return first_text(call(socket, "RunPodSandbox", {1: config}))


def stop_sandbox(socket, sandbox):
    call(socket, "StopPodSandbox", {1: sandbox})


def remove_sandbox(socket, sandbox):
    call(socket, "RemovePodSandbox", {1: sandbox})


def version(socket):
    return call(socket, "Version", {})
