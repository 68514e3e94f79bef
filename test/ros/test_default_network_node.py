"""The node with the network of the package, which runs where none is named."""

from __future__ import annotations

import pytest
from rig import Peer, add_node, are_matched, change, message, send

from regionmask_ros.network.files import ENVIRONMENT_KEY
from regionmask_ros.ros import diagnostics
from regionmask_ros.tiles.compiled import list_kernel_sets


@pytest.mark.skipif(not list_kernel_sets(), reason="no compiled kernels: install g++ and run 'make setup'")
def test_street_runs_and_the_node_says_how_to_change_to_lava(session, wait_for, monkeypatch, tmp_path):
    monkeypatch.delenv(ENVIRONMENT_KEY)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(diagnostics, "REPORT_PERIOD_S", 0.2)
    node, peer = add_node(session), session.add(Peer)
    session.spin()
    node.start()
    wait_for(lambda: are_matched(node, peer))
    send(peer, wait_for, [message(index) for index in range(4)])
    network = node._configured.pipeline.network
    assert (network.name, network.labels[0]) == ("street", "person")
    values = wait_for(lambda: (found := peer.values()) and found["frames answered"] == "4" and found)
    assert values["backend"] == "cpu" and values["kernels"].startswith("tiles, ")
    refused = change(node, backend="lava_sim")
    assert not refused.successful and "start with the network yolo_kp" in refused.reason
    send(peer, wait_for, [message(4)])
