"""The reader of lava-dl's checkpoint: the integers are those that Lava runs."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path

import numpy as np
import pytest
from checkpoint_writer import checkpoint, small_yolo_kp

from regionmask_ros.errors import UserError
from regionmask_ros.network.files import load_network
from regionmask_ros.network.formats.lava_dl import input_table, parse_yolo_kp

HERE = Path(__file__).resolve().parent
DIGESTS = json.loads((HERE / "yolo_kp_digests.json").read_text())


def digest(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array, "<i4").tobytes()).hexdigest()


def test_every_integer_of_the_trained_network_is_the_reference(trained_file):
    network = load_network(trained_file)
    assert network.sha256 == DIGESTS["network_file"], f"{trained_file} is another network"
    assert digest(network.input_table) == DIGESTS["input_table"]
    assert [layer.name for layer in network.layers] == [known["name"] for known in DIGESTS["layers"]]
    for layer, known in zip(network.layers, DIGESTS["layers"]):
        assert list(layer.weight.shape) == known["shape"], layer.name
        assert digest(layer.weight) == known["weight"], layer.name
        assert (None if layer.is_head else digest(layer.bias)) == known["bias"], layer.name
    assert network.encoder_threshold == 6
    assert [layer.threshold for layer in network.layers[:-1]] == [int(0.1 * 64)] * 9
    assert network.head.anchors == ((0.28, 0.22), (0.38, 0.48), (0.90, 0.78))


def test_the_trained_network_has_the_published_sizes(trained_file):
    network = load_network(trained_file)
    assert network.total_stride == 32
    assert network.output_size((448, 448))[-1] == (14, 14, 255)
    assert network.output_size((704, 224))[-1] == (7, 22, 255)
    assert sum(network.dense_macs((448, 448))) == 1_055_602_688
    assert sum(layer.weight.size for layer in network.layers) == 3_602_864


def test_the_digests_in_the_repository_are_those_of_the_reference(reference_folder):
    manifest = json.loads((reference_folder / "manifest.json").read_text())
    assert DIGESTS["network_file"] == manifest["sources_sha256"]["network.pt"]
    assert DIGESTS["input_table"] == manifest["input_table_sha256"]
    assert [(known["weight"], known["bias"]) for known in DIGESTS["layers"]] == [
        (layer["weight_sha256"], layer["bias_sha256"]) for layer in manifest["parameters"]
    ]


def test_the_input_table_equals_the_formula_in_higher_precision():
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    assert input_table().tolist() == [[round((v / 255 - m) / s * 64) for m, s in zip(mean, std)] for v in range(256)]


def test_a_small_checkpoint_gives_the_values_of_the_formulas():
    tensors = small_yolo_kp()
    network = parse_yolo_kp(checkpoint(tensors), "small.pt")
    assert network.source_file == "small.pt"
    for block, layer in enumerate(network.layers[:-1]):
        direction = tensors[f"blocks.{block}.synapse.weight_v"]
        for out, channel in enumerate(direction):
            norm = math.sqrt(math.fsum(float(value) ** 2 for value in channel.ravel()))
            gain = float(tensors[f"blocks.{block}.synapse.weight_g"][out, 0, 0, 0, 0]) / norm
            wanted = [2 * round(32 * float(value) * gain) for value in channel.ravel()]
            assert layer.weight[out].ravel().tolist() == wanted, layer.name
        mean = tensors[f"blocks.{block}.neuron.norm.running_mean"]
        assert layer.bias.tolist() == [-min(max(2 * round(32 * float(m)), -256), 254) for m in mean], layer.name


def test_ties_round_to_even_and_values_are_clipped():
    tensors = small_yolo_kp()
    reals = np.array([1 / 64, 3 / 64, -1 / 64, -3 / 64, 7.96875, 7.984375, 9, -8, -8.5], np.float32)
    tensors["heads.0.weight"][: len(reals), 0, 0, 0, 0] = reals
    tensors["blocks.3.neuron.norm.running_mean"] = np.array([4.5, -4.5], np.float32)
    tensors["blocks.4.neuron.norm.running_mean"] = np.array([3 / 64, 3.984375], np.float32)
    network = parse_yolo_kp(checkpoint(tensors), "ties.pt")
    assert network.layers[-1].weight[: len(reals), 0, 0, 0].tolist() == [0, 4, 0, -4, 510, 510, 510, -512, -512]
    assert network.layers[3].bias.tolist() == [-254, 256]
    assert network.layers[4].bias.tolist() == [-4, -254]


def test_thresholds_come_from_the_file_and_round_down():
    tensors = small_yolo_kp()
    tensors["blocks.2.neuron.delta.threshold"][0] = 0.1
    tensors["blocks.5.neuron.delta.threshold"][0] = 12 / 64
    network = parse_yolo_kp(checkpoint(tensors), "thresholds.pt")
    assert [layer.threshold for layer in network.layers] == [6, 6, 6, 6, 6, 12, 6, 6, 6, 0]


def _without(name):
    return lambda tensors: tensors.pop(name)


def _set(name, value):
    return lambda tensors: tensors.update({name: np.asarray(value, np.float32)})


def _poke(name, value):
    return lambda tensors: tensors[name].__setitem__((0,) * tensors[name].ndim, value)


@pytest.mark.parametrize("change, reason", [
    (_without("blocks.3.synapse.weight_v"), "no tensor blocks.3.synapse.weight_v: not a YOLO-KP checkpoint"),
    (_without("heads.0.weight"), "no tensor heads.0.weight: not a YOLO-KP checkpoint"),
    (_without("anchors"), "no tensor anchors"),
    (_poke("blocks.0.synapse.weight_v", np.nan), "blocks.0.synapse.weight_v holds NaN or infinite"),
    (_poke("blocks.8.neuron.norm.running_mean", -np.inf), "running_mean holds NaN or infinite"),
    (_poke("blocks.0.neuron.delta.threshold", 0.01), "is 0.01, expected a threshold of at least 1/64"),
    (_poke("blocks.0.neuron.delta.threshold", 3e38), "expected a threshold"),
    (_poke("anchors", -1), "positive numbers"),
    (_set("anchors", [[0.28, 0.22]]), r"anchors is [1, 2], expected [1, anchors, 2]"),
    (_set("anchors", [[[0.28, 0.22]]]), "the head needs 85 channels, but the last layer has 255"),
    (_set("heads.0.weight", np.ones((18, 2, 1, 1, 1))), "the last layer has 18"),
    (_set("heads.0.weight", np.ones((255, 2, 3, 3, 1))), "[255, 2, 3, 3, 1], expected [out, in, 1, 1, 1]"),
    (_set("heads.0.weight", np.ones((255, 2))), "[255, 2], expected"),
    (_set("blocks.4.synapse.weight_v", np.ones((2, 5, 3, 3, 1))), "conv5 do not fit together: channels 2 to 5"),
    (_set("blocks.4.synapse.weight_v", np.zeros((2, 2, 3, 3, 1))), "blocks.4.synapse.weight_v has a channel of zeros"),
    (_set("blocks.1.synapse.weight_g", np.ones((3, 1, 1, 1, 1))), "weight_g is [3, 1, 1, 1, 1], expected 2 values"),
    (_set("blocks.1.neuron.norm.running_mean", 1.0), "running_mean is [], expected 2 values"),
    (_set("blocks.9.synapse.weight_v", np.ones((2, 2, 3, 3, 1))), "blocks.9.synapse.weight_v does not belong to"),
])
def test_another_checkpoint_is_rejected_with_the_name_of_the_tensor(tmp_path, change, reason):
    tensors = small_yolo_kp()
    change(tensors)
    file = tmp_path / "other.pt"
    file.write_bytes(checkpoint(tensors))
    with pytest.raises(UserError) as error:
        load_network(file)
    assert str(error.value).startswith(f"{file}: ")
    assert reason in str(error.value)
    assert len(str(error.value).splitlines()) == 1
