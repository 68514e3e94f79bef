"""Networks with branches: which parts fit together, and files of them."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from branched_networks import small_branched

from regionmask_ros.engine.branched.operators import Add, ChannelRange, Enlarge
from regionmask_ros.errors import InvalidFile, UserError
from regionmask_ros.importing.opening import open_network
from regionmask_ros.network.branched import BranchedNetwork, branch
from regionmask_ros.network.cards import store_chain
from regionmask_ros.network.formats.branched_file import pack_branched
from regionmask_ros.network.formats.chain_file import pack_chain, parse_chain
from regionmask_ros.network.formats.integers import DESCRIPTION
from regionmask_ros.network.graph import Node


@pytest.fixture(scope="module")
def network() -> BranchedNetwork:
    return small_branched()


def test_sizes_and_names_follow_the_nodes(network):
    assert (network.in_channels, network.total_stride) == (3, 16)
    assert network.graph.outputs == ("box8", "object8", "class8", "box16", "object16", "class16")
    fired, computed = network.counted_layers
    assert fired == ("at2", "at4", "at8", "more", "at16", "pool") and len(computed) == len(network.layers) == 11
    assert network.name_missing_on_lava() == (
        "concatenation, max pooling, selection of channels, several heads, sums of layers, upsampling")


def with_node(network: BranchedNetwork, name: str, **changes) -> BranchedNetwork:
    """The network with another node of that name."""
    nodes = [replace(node, **changes) if node.name == name else node for node in network.nodes]
    return branch(nodes, name=network.name, head=network.head, labels=network.labels,
                  input_table=network.input_table, encoder_threshold=network.encoder_threshold)


@pytest.mark.parametrize("name, changes, reason", [
    ("more", {"inputs": ("missing",)}, "reads missing, which no earlier node computes"),
    ("half", {"operator": ChannelRange(3, 8)}, "reads 18 channels, its input has 17"),
    ("half", {"operator": ChannelRange(3, 13)}, "channels 3 to 13, the input has 12"),
    ("more", {"inputs": ("at8", "at8")}, "has not one input"),
    ("sum", {"inputs": ("more", "at4")}, "inputs of different strides"),
    ("pool", {"inputs": ("at8",)}, "inputs of different strides"),
    ("large", {"operator": Enlarge(3)}, "enlarged by 3 at a stride of 16"),
    ("sum", {"inputs": ("at8", "more") * 9}, "more than 16 messages of one neuron"),
    ("sum", {"operator": object()}, "not an operator of the event engine"),
    ("both", {"inputs": ("large", "sum", "box8")}, "head box8 is read by another node"),
])
def test_nodes_that_do_not_fit_together_are_rejected(network, name, changes, reason):
    with pytest.raises(ValueError, match=reason):
        with_node(network, name, **changes)


def test_a_node_that_nothing_reads_is_rejected(network):
    with pytest.raises(ValueError, match="nothing reads lost"):
        branch([*network.nodes, Node("lost", Add(), ("at8", "sum"))], name="x", head=network.head,
               labels=network.labels, input_table=network.input_table, encoder_threshold=6)


def test_a_head_at_another_stride_is_rejected(network):
    spec = replace(network.head.spec, strides=(8, 32))
    with pytest.raises(ValueError, match="expected"):
        replace(network, head=replace(network.head, spec=spec))


def test_the_digest_depends_on_every_integer_and_on_the_wiring(network):
    layer = network.layers[3]
    weight = layer.weight.copy()
    weight[0, 0, 0, 0] += 1
    part = replace(network.head.levels[0][0], bias=(0.5,) * 4)
    head = replace(network.head, levels=((part, *network.head.levels[0][1:]), network.head.levels[1]))
    different = [
        network, with_node(network, "more", operator=replace(layer, weight=weight)),
        with_node(network, "sum", inputs=("at8", "at8", "more")), replace(network, head=head),
        with_node(network, "pool", operator=replace(network.graph.node("pool").operator, threshold=4))]
    assert len({one.digest for one in different}) == len(different)
    assert replace(network, name="other").digest == network.digest


def test_a_network_is_read_as_it_was_written(network, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    store_chain("mine", pack_branched(network, "a test"))
    found = open_network("mine")
    assert isinstance(found, BranchedNetwork) and found.digest == network.digest
    assert (found.name, found.head, found.labels) == (network.name, network.head, network.labels)
    with pytest.raises(ValueError):
        pack_chain(found)


def describe(content: bytes, change) -> bytes:
    """The archive with a changed description."""
    arrays = dict(np.load(io.BytesIO(content)))
    plain = json.loads(arrays[DESCRIPTION].tobytes())
    change(plain)
    arrays[DESCRIPTION] = np.frombuffer(json.dumps(plain).encode(), np.uint8)
    changed = io.BytesIO()
    np.savez(changed, **arrays)
    return changed.getvalue()


def setting(*path, value):
    """A function that sets a value in a description."""
    def change(plain) -> None:
        for key in path[:-1]:
            plain = plain[key]
        plain[path[-1]] = value
    return change


@pytest.mark.parametrize("change, message", [
    (setting("nodes", value=[]), "list is needed"),
    (setting("nodes", 0, "kind", value="Eval"), "damaged"),
    (setting("nodes", 0, "inputs", value=["nowhere"]), "no earlier node"),
    (setting("nodes", 0, "stride", value=-1), "whole number"),
    (setting("nodes", 8, "factor", value=9), "whole number"),
    (setting("nodes", 6, "size", value=1 << 20), "whole number"),
    (setting("nodes", 0, "is_head", value=1), "yes or no"),
    (setting("nodes", 0, "name", value="a\x1b"), "text is needed"),
    (setting("nodes", 3, "is_head", value=True), "head is read|read by another|levels"),
    (setting("head", "levels", 0, 0, "bias", value=[float("nan")] * 4), "number is needed"),
    (setting("head", "levels", 0, 0, "bias", value=[0.0]), "as many biases"),
    (setting("head", "levels", 0, 0, "name", value="box16"), "each head once"),
    (setting("head", "strides", value=[8]), "levels"),
    (setting("head", "numbers", value=[1]), "numbers by name"),
    (setting("labels", value=["one", "one"]), "2 labels"),
])
def test_what_is_no_network_is_refused_in_one_line(network, change, message):
    with pytest.raises(InvalidFile, match=message) as caught:
        parse_chain(describe(pack_branched(network), change), "mine.npz")
    assert "\n" not in str(caught.value)


def test_an_unknown_head_is_refused(network, tmp_path):
    file = tmp_path / "mine.npz"
    file.write_bytes(describe(pack_branched(network), setting("head", "family", value="other")))
    with pytest.raises(UserError, match="unknown to this version"):
        open_network(str(file))
