"""The student ``chain`` learns from labels, and is stored as a sigma-delta network that all engines compute alike."""

from __future__ import annotations

import importlib.util
import json

import cv2
import numpy as np
import pytest
from small_networks import random_messages, step
from tiny_yolox import CLASSES, draw_scene, make_tiny
from video_writer import write_video

from regionmask_ros.commands.distill import main
from regionmask_ros.commands.model import main as model_main
from regionmask_ros.core.boxes import iou_matrix
from regionmask_ros.engine.engine import EventEngine, PackedNetwork, available_kernel_sets
from regionmask_ros.engine.reference import ReferenceNetwork
from regionmask_ros.errors import UserError
from regionmask_ros.importing.opening import open_network
from regionmask_ros.network.cards import find_stored, store_network
from regionmask_ros.network.chain import Network

pytest.importorskip("onnx", reason="the package onnx is not installed: run 'make runtimes'")
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="torch is not installed: run 'make train-setup'")
BLOCKS = tuple((f"conv{number}", 2, 1) for number in range(1, 6))
CHANNELS = (3, 12, 16, 24, 32, 48)


@pytest.fixture
def small_chain(monkeypatch):
    """A chain of a few thousand weights, and samples of a size at which a step takes milliseconds."""
    place = "regionmask_ros.lab.distillation"
    monkeypatch.setattr(f"{place}.chain.BLOCKS", BLOCKS)
    monkeypatch.setattr(f"{place}.chain.CHANNELS", CHANNELS)
    monkeypatch.setattr(f"{place}.trainer.SIZES", ((128, 96), (96, 128)))


@pytest.fixture
def own_data(monkeypatch, tmp_path):
    """Networks of this test alone."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path


def make_trainer(plan):
    from regionmask_ros.lab.distillation import chain
    from regionmask_ros.lab.distillation.pictures import Picture
    from regionmask_ros.lab.distillation.street import PREPROCESSING
    from regionmask_ros.lab.distillation.trainer import Trainer

    pictures = []
    for seed in range(8):
        image, labels = draw_scene(seed)
        pictures.append(Picture(cv2.imencode(".png", image[..., ::-1])[1].tobytes(), labels, seed % 2))
    return Trainer(plan, chain.build_chain(CLASSES, None, 1), pictures, PREPROCESSING, (chain.STRIDE,),
                   head=chain.chain_head(CLASSES))


def count_found(trainer) -> int:
    """How many of the 20 blocks of 10 new scenes the best box of their class overlaps by half, in integers."""
    from regionmask_ros.backends import open_backend
    from regionmask_ros.core.grid import RegionGrid
    from regionmask_ros.detection.yolo import decode
    from regionmask_ros.encoder.encoder import Encoder
    from regionmask_ros.lab.distillation import chain

    sizes = {f"conv{number}": 2.0 ** (number - 4) for number in range(1, 6)}
    network = chain.make_chain("tiny", CLASSES, trainer.weights(), "lava64", sizes, 0.1)
    assert all(layer.exponent <= 9 and not (layer.weight % 2).any() for layer in network.layers)
    found = 0
    for seed in range(100, 110):
        image, labels = draw_scene(seed)
        wh = image.shape[1], image.shape[0]
        encoder = Encoder(network.input_table, network.encoder_threshold, wh)
        backend = open_backend("cpu", network, wh, "carry")
        for _ in range(3):
            backend.submit(encoder.step(image, RegionGrid.of_input(wh).full(True)), None)
            boxes = decode(backend.poll(0.0).head, network.head, wh, 0.0, 0.5)
        for kind in range(len(CLASSES)):
            best = np.flatnonzero(boxes.class_ids == kind)[:1]
            found += bool(len(best)) and float(iou_matrix(boxes.boxes[best], labels[kind:kind + 1, :4])[0, 0]) >= 0.5
    return found


def test_it_learns_drawn_blocks_in_integers(small_chain):
    from regionmask_ros.lab.distillation.trainer import Plan

    trainer = make_trainer(Plan(300, 8, 1, "lava64", 6e-2))
    assert count_found(trainer) <= 5
    while trainer.step < trainer.last_step:
        trainer.advance()
    assert count_found(trainer) >= 13


def test_each_object_of_a_cell_gets_an_anchor_of_its_own():
    import torch

    from regionmask_ros.lab.distillation.anchors import AnchorCells, _assign, anchor_loss
    from regionmask_ros.lab.distillation.chain import chain_head

    cells = AnchorCells.of((64, 96), chain_head(CLASSES), 32)
    output = torch.zeros(2, 6, 3 * 7, requires_grad=True)
    rows = np.array([[40, 40, 60, 60, 0.9, 0], [44, 36, 58, 62, 0.8, 1], [36, 36, 62, 62, 0.9, 0],
                     [41, 41, 61, 61, 0.9, 1]], np.float32)
    found = cells.split(output.detach())
    where = torch.zeros(4, dtype=torch.long), torch.full((4,), 1 * 3 + 1)
    owner, anchor = _assign(found, cells.decode(found[..., :4]), torch.from_numpy(rows), *where)
    assert sorted(anchor.tolist()) == [0, 1, 2] and len(set(owner.tolist())) == 3
    loss = anchor_loss(output, cells, [rows, np.zeros((0, 6), np.float32)])
    loss.backward()
    assert torch.isfinite(loss) and output.grad[0, 4].abs().sum() > 0
    assert not output.grad[1, :, :4].any(), "boxes are learned where objects are"


def test_the_command_makes_a_network_whose_integers_are_the_same_everywhere(small_chain, own_data, capsys, monkeypatch):
    pytest.importorskip("openvino", reason="OpenVINO is not installed: run 'make runtimes'")
    monkeypatch.setattr("regionmask_ros.lab.distillation.teacher.LOWEST_SCORE", 0.0)
    store_network(make_tiny("teacher"))
    store_network(make_tiny("mine"))
    clip = write_video(own_data / "scenes.mp4", [draw_scene(seed)[0][..., ::-1] for seed in range(12)], 10.0)
    command = ["teacher", str(clip), "--student", "chain", "--output", "mine", "--folder", str(own_data / "mine"),
               "--steps", "4", "--batch", "2", "--every", "2", "--look-every", "2", "--classes", "red,blue",
               "--from-nothing"]
    assert main(command) == 0
    network = open_network("mine")
    assert isinstance(network, Network) and network.labels == CLASSES and network.name == "mine"
    facts = json.loads((find_stored("mine").parent / "training.json").read_text())
    assert facts["student"] == "chain" and facts["grid"] == "lava64" and "threshold_share" in facts
    capsys.readouterr()
    assert main([*command, "--resume"]) == 0
    assert open_network("mine").digest == network.digest, "a finished training is not changed"
    capsys.readouterr()
    assert model_main(["list"]) == 0 and "mine" in capsys.readouterr().out
    for kernel_set in available_kernel_sets():
        rng = np.random.default_rng(1)
        engine = EventEngine(PackedNetwork(network), (96, 64), "lava", kernel_set)
        reference = ReferenceNetwork(network, (96, 64), "lava")
        for _ in range(3):
            message = random_messages(rng, (64, 96, 3), 0.3)
            np.testing.assert_array_equal(step(engine, message).head, reference.step(message))
    assert model_main(["remove", "mine"]) == 0 and find_stored("mine") is None


def test_a_grid_that_events_cannot_compute_is_refused(own_data, capsys):
    store_network(make_tiny("teacher"))
    assert main(["teacher", "a.mp4", "--student", "chain", "--grid", "channel", "--output", "mine", "--folder",
                 str(own_data / "mine")]) == 2
    error = capsys.readouterr().err
    assert "lava64" in error and error.count("\n") == 1


@pytest.mark.parametrize("last", [0.001, 0.05, 40.0, 1e6])
def test_layers_of_any_size_get_exponents_that_the_engine_has(last):
    from regionmask_ros.lab.distillation import chain
    from regionmask_ros.network.formats.lava_dl import BLOCKS, HEAD

    rng, names = np.random.default_rng(0), [layer for layer, _, _ in BLOCKS]
    weights = {f"{name}.sum": (rng.normal(0, 0.1, (after, before, 3, 3)), np.zeros(after))
               for name, before, after in zip(names, chain.CHANNELS, chain.CHANNELS[1:])}
    weights[HEAD[0]] = (
        rng.normal(0, 0.1, (3 * (5 + len(CLASSES)), chain.CHANNELS[-1], 1, 1)), np.zeros(3 * (5 + len(CLASSES))))
    sizes = dict(zip(names, [40.0, 40.0, 40.0] + [last] * len(names)))
    try:
        network = chain.make_chain("tiny", CLASSES, weights, "lava64", sizes, 0.1)
    except UserError as error:
        assert "exponent" in str(error)
    else:
        assert all(0 <= layer.exponent <= 9 for layer in network.layers)
