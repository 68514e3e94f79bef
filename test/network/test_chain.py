"""The frozen network: which values its constructors accept, and the sizes that it computes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from regionmask_ros.network.chain import ConvSpec, Network, YoloHead
from regionmask_ros.network.formats.lava_dl import COCO_LABELS


def conv(name="c1", shape=(4, 2, 3, 3), stride=2, padding=1, threshold=6, head=False, **changes) -> ConvSpec:
    weight = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
    bias = None if head else np.zeros(shape[0], np.int32)
    parts = {"name": name, "weight": weight, "bias": bias, "stride": stride, "padding": padding, "threshold": threshold}
    return ConvSpec(**{**parts, **changes})


def network(layers=None, **changes) -> Network:
    layers = (conv(), conv("head", (5, 4, 1, 1), 1, 0, head=True)) if layers is None else layers
    table = np.zeros((256, 2), np.int32)
    parts = {"name": "hand-made", "layers": layers, "head": None, "labels": (), "input_table": table,
             "encoder_threshold": 6}
    return Network(**{**parts, **changes})


@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_any_kernel_and_stride_is_accepted(kernel, stride):
    layer = conv(shape=(3, 1, kernel, kernel), stride=stride, padding=kernel // 2)
    positions = range(-layer.padding, 20 + layer.padding - kernel + 1, stride)
    assert layer.output_length(20) == len(positions)


@pytest.mark.parametrize("changes, reason", [
    ({"name": ""}, "needs a name"),
    ({"weight": np.zeros((4, 2, 3, 3))}, "float64, expected an int32 array"),
    ({"weight": [[1]]}, "list, expected an int32 array"),
    ({"weight": np.zeros((4, 2, 3, 1), np.int32)}, r"\[4, 2, 3, 1\]"),
    ({"weight": np.zeros((4, 0, 3, 3), np.int32)}, "without a 0"),
    ({"bias": np.zeros(3, np.int32)}, r"bias is \[3\], expected \[4\]"),
    ({"bias": np.zeros(4, np.int64)}, "bias is int64"),
    ({"stride": 0}, "stride is 0, expected at least 1"),
    ({"stride": 1.5}, "stride is 1.5, expected an integer"),
    ({"padding": -1}, "padding is -1"),
    ({"padding": 3}, "padding 3 is not less than the kernel"),
    ({"threshold": 0}, "threshold is 0, expected at least 1"),
    ({"groups": 0}, "groups is 0, expected at least 1"),
    ({"groups": 3}, "4 outputs cannot be divided into 3 groups"),
])
def test_an_impossible_layer_is_rejected_by_name_and_value(changes, reason):
    with pytest.raises(ValueError, match=reason):
        conv(**changes)


@pytest.mark.parametrize("changes, reason", [
    ({"layers": ()}, "at least one layer"),
    ({"layers": (conv(),)}, "must be a head"),
    ({"layers": (conv(head=True), conv("c2", (5, 4, 1, 1), 1, 0, head=True))}, "c1 has no bias"),
    ({"layers": (conv(), conv("head", (5, 3, 1, 1), 1, 0, head=True))}, "channels 4 to 3"),
    ({"layers": (conv("head"), conv("head", (5, 4, 1, 1), 1, 0, head=True))}, "not unique"),
    ({"input_table": np.zeros((256, 3), np.int32)}, r"\[256, 3\], expected \[256, 2\]"),
    ({"encoder_threshold": 0}, "encoder_threshold is 0"),
    ({"labels": ("person",)}, "1 labels .* for 0 classes"),
    ({"head": YoloHead(((1, 1),), 2, 5.0), "labels": ("a", "a")}, r"2 labels \(1 different\) for 2 classes"),
    ({"head": YoloHead(((1, 1),), 2, 5.0), "labels": ("a", "b")}, "needs 7 channels, but the last layer has 5"),
])
def test_parts_that_do_not_fit_together_are_rejected(changes, reason):
    with pytest.raises(ValueError, match=reason):
        network(**changes)


@pytest.mark.parametrize("anchors, classes, clamp", [
    ((), 1, 5.0), (((1, 0),), 1, 5.0), (((1, float("nan")),), 1, 5.0), (((1, 1),), 0, 5.0),
    (((1, 1),), 1, float("inf")),
])
def test_an_impossible_head_is_rejected(anchors, classes, clamp):
    with pytest.raises(ValueError):
        YoloHead(anchors, classes, clamp)


def test_arrays_are_private_and_read_only():
    weight = np.ones((4, 2, 3, 3), np.int32)
    layer = conv(weight=weight)
    weight[:] = 7
    assert (layer.weight == 1).all()
    for array in (layer.weight, layer.bias, network().input_table):
        with pytest.raises(ValueError):
            array[...] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        layer.stride = 1


def test_sizes_and_macs_follow_the_layers():
    made = network()
    assert made.total_stride == 2
    assert made.output_size((20, 10)) == [(5, 10, 4), (5, 10, 5)]
    assert made.dense_macs((20, 10)) == (5 * 10 * 4 * 2 * 9, 5 * 10 * 5 * 4)


def test_a_layer_in_groups_reads_all_of_their_channels():
    made = network((conv(shape=(4, 1, 3, 3), groups=2), conv("head", (5, 4, 1, 1), 1, 0, head=True)))
    assert (made.in_channels, made.layers[0].out_channels) == (2, 4)
    assert made.dense_macs((20, 10)) == (5 * 10 * 4 * 1 * 9, 5 * 10 * 5 * 4)


def test_an_input_smaller_than_the_kernel_is_rejected():
    assert conv(shape=(4, 2, 3, 3), padding=0).output_length(3) == 1
    with pytest.raises(ValueError, match="does not fit 2 pixels"):
        conv(shape=(4, 2, 3, 3), padding=0).output_length(2)


def test_the_digest_depends_on_every_integer():
    table = np.zeros((256, 2), np.int32)
    table[255, 1] = 1
    weight = network().layers[0].weight.copy()
    weight[3, 1, 2, 2] += 1
    bias = np.array([0, 0, 0, 2], np.int32)
    head = network().layers[1]
    different = [
        network(), network(input_table=table), network(encoder_threshold=7), network((conv(weight=weight), head)),
        network((conv(bias=bias), head)), network((conv(stride=1), head)), network((conv(padding=0), head)),
        network((conv(threshold=7), head)), network((conv(shape=(4, 1, 3, 3), groups=2), head)),
    ]
    assert len({made.digest for made in different}) == len(different)
    assert network(name="other", source_file="x.pt").digest == network().digest


def test_the_labels_are_those_of_coco():
    assert len(COCO_LABELS) == len(set(COCO_LABELS)) == 80
    known = {0: "person", 2: "car", 9: "traffic light", 16: "dog", 39: "bottle", 56: "chair", 79: "toothbrush"}
    assert {number: COCO_LABELS[number] for number in known} == known
