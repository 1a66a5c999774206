# SPDX-License-Identifier: Apache-2.0
"""
A configuration as a runtime brings it to the CNI plugin: what a pod may say is in its annotations, what it may not in
the conflist. Names of groups are the pod's own, so the plugin is given numbers.
"""
import json
import subprocess

import harness
from configurations import joined
from harness import BUILD
from lab import NAMESPACES, POD
from model import EVERYTHING, Configuration

ANNOTATIONS = "io.kubernetes.cri.pod-annotations"
TRAFFIC = "traffic.sidecar.istio.io/"
UNSAID = Configuration()


def can_say(config):
    """The plugin does not see the pod's resolv.conf, and the tunnel's port is not its business."""
    return config.tunnel_port == UNSAID.tunnel_port and (config.dns == EVERYTHING or not config.dns_asked)


def annotations(config):
    return {
        "sidecar.istio.io/interceptionMode": config.mode,
        TRAFFIC + "includeOutboundIPRanges": joined(config.include_ranges),
        TRAFFIC + "excludeOutboundIPRanges": joined(config.exclude_ranges),
        TRAFFIC + "includeOutboundPorts": joined(config.include_ports),
        TRAFFIC + "excludeOutboundPorts": joined(config.exclude_ports),
        TRAFFIC + "includeInboundPorts": joined(config.inbound),
        TRAFFIC + "excludeInboundPorts": joined(config.inbound_exclude),
        TRAFFIC + "excludeInterfaces": joined(config.exclude_interfaces),
        "istio.io/reroute-virtual-interfaces": joined(config.virtual_interfaces),
        "weir.dev/includeOwnerGroups": joined(config.include_groups),
        "weir.dev/excludeOwnerGroups": joined(config.exclude_groups),
        "weir.dev/dnsCapture": str(config.dns_asked).lower(),
        "weir.dev/dropInvalid": str(config.drop_invalid).lower(),
    }


def conflist(config):
    keys = {"proxyUID": joined(config.uids), "proxyGID": joined(config.gids), "proxyPort": config.proxy_port,
            "inboundPort": config.inbound_port, "tproxyMark": config.mark, "tproxyRouteTable": config.table,
            "loopbackCIDR": config.loopback}
    return {name: str(value) for name, value in keys.items()}


def call(verb, config):
    """(exit status, everything that the plugin said)"""
    document = {"cniVersion": "1.0.0", "name": "pods", "type": "weir-cni", "logFile": "",
                "capabilities": {ANNOTATIONS: True}, "runtimeConfig": {ANNOTATIONS: annotations(config)},
                "prevResult": {"cniVersion": "1.0.0"}, **conflist(config)}
    environment = {"CNI_COMMAND": verb, "CNI_CONTAINERID": "peer", "CNI_NETNS": f"/run/netns/{NAMESPACES[POD]}",
                   "CNI_IFNAME": "eth0", "CNI_PATH": BUILD, "CNI_ARGS": "K8S_POD_NAMESPACE=team-a;K8S_POD_NAME=web-0",
                   **harness.sanitizer_options()}
    result = subprocess.run([f"{BUILD}/weir-cni"], input=json.dumps(document), text=True, capture_output=True,
                            check=False, env=environment)
    return result.returncode, result.stdout + result.stderr
