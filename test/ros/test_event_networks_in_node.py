"""Sigma-delta networks that this package makes, a chain and one with branches, in the node by their stored names."""

from __future__ import annotations

import pytest
from branched_networks import small_branched
from rig import Peer, add_node, are_matched, change, message, send

from regionmask_ros.network.cards import store_chain
from regionmask_ros.network.chain import Network
from regionmask_ros.network.formats.branched_file import pack_branched
from regionmask_ros.network.formats.chain_file import pack_chain
from regionmask_ros.ros import diagnostics
from regionmask_ros.ros.node import DetectorNode


@pytest.fixture
def start(session, wait_for, monkeypatch, tmp_path):
    """A function that stores a network as ``mine`` and starts a node with it, and its peer."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(diagnostics, "REPORT_PERIOD_S", 0.2)

    def make(content: bytes) -> tuple[DetectorNode, Peer]:
        file = store_chain("mine", content)
        node, peer = add_node(session, network_file="mine", score_threshold=0.1, preset_guard=0.0), session.add(Peer)
        session.spin()
        node.start()
        wait_for(lambda: are_matched(node, peer))
        assert node._configured.pipeline.network.source_file == str(file)
        return node, peer

    return make


def check_detections(peer: Peer, wait_for, network: Network, count: int) -> dict[str, str]:
    """Sends images; returns the values of diagnostics about all of them. There are detections, events and synops."""
    send(peer, wait_for, map(message, range(count)))
    found = [one for heard in peer.heard["detections"] for one in heard.detections]
    assert found and {one.results[0].hypothesis.class_id for one in found} <= set(network.labels)
    values = wait_for(lambda: (got := peer.values()) and got["frames answered"] == str(count) and got)
    assert float(values["events per frame"]) > 0 and float(values["synops per frame"]) > 0
    assert values["share of MACs"] == "" and float(values["masked share"]) > 0
    return values


def test_a_chain_detects_with_the_rule_that_is_set(start, wait_for, exponents_network):
    node, peer = start(pack_chain(exponents_network))
    values = check_detections(peer, wait_for, exponents_network, 8)
    assert (values["backend"], values["arithmetic"], values["thresholds"]) == ("cpu", "carry", "trained")
    refused = change(node, thresholds="tuned")
    assert not refused.successful and refused.reason == (
        "thresholds tuned: this network has none, only yolo_kp does; leave it out")
    assert change(node, arithmetic="snap").successful
    wait_for(lambda: node._configured.pipeline.backends.is_ready or node._configured.pipeline.resets)
    send(peer, wait_for, [message(8)])
    wait_for(lambda: peer.values()["arithmetic"] == "snap")


def test_a_branched_network_detects_and_what_lava_lacks_is_named(start, wait_for):
    network = small_branched()
    node, peer = start(pack_branched(network))
    values = check_detections(peer, wait_for, network, 8)
    assert (values["backend"], values["kernels"]) == ("cpu", "portable")
    lacks = "concatenation, max pooling, selection of channels, several heads, sums of layers, upsampling"
    for backend, reason in (("lava_sim", f"what Lava lacks ({lacks}); use auto or cpu"),
                            ("openvino", "which is a sigma-delta network; use auto or cpu")):
        refused = change(node, backend=backend)
        assert not refused.successful and refused.reason.endswith(reason) and "\n" not in refused.reason
    assert change(node, preset="fast").successful
    send(peer, wait_for, [message(8)])
    assert node.get_parameter("backend").value == "auto" and node._configured.frame_stats.counts.broken == 0
