# SPDX-License-Identifier: Apache-2.0
"""
A container image, made of files of this machine, as the docker-archive that every runtime loads.
"""
import hashlib
import io
import json
import tarfile


def add(archive, name, data, mode=0o644):
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), mode
    archive.addfile(info, io.BytesIO(data))


def layer(programs):
    """A tar of programs, {path inside: path here}."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for inside, here in programs.items():
            with open(here, "rb") as program:
                add(archive, inside.lstrip("/"), program.read(), 0o755)
    return out.getvalue()


def write(path, name, programs, command):
    """Writes the archive of an image that has only these programs, and runs `command`."""
    data = layer(programs)
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Entrypoint": command},
                         "rootfs": {"type": "layers", "diff_ids": [digest]}}).encode()
    config_name = hashlib.sha256(config).hexdigest() + ".json"
    manifest = [{"Config": config_name, "RepoTags": [name], "Layers": ["layer.tar"]}]
    with tarfile.open(path, "w") as archive:
        add(archive, config_name, config)
        add(archive, "layer.tar", data)
        add(archive, "manifest.json", json.dumps(manifest).encode())
