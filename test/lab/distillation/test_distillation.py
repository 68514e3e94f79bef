"""Students learn from labels and from their teacher; a resumed training ends as it would have ended; the command."""

from __future__ import annotations

import importlib.util
import json

import cv2
import numpy as np
import pytest
from tiny_yolox import CLASSES, PREPROCESSING, STRIDES, draw_scene, make_graph, make_tiny
from video_writer import write_video

from regionmask_ros.commands.distill import main
from regionmask_ros.lab.distillation.grids import CHANNEL, FLOAT, LAVA64, POW2, find_steps
from regionmask_ros.lab.distillation.pictures import Picture
from regionmask_ros.network.cards import find_card, load_card, store_network

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="torch is not installed: run 'make train-setup'")
SIZES = ((96, 64), (64, 96))


@pytest.fixture
def small_samples(monkeypatch):
    """Samples of a size at which a step takes milliseconds."""
    monkeypatch.setattr("regionmask_ros.lab.distillation.trainer.SIZES", SIZES)


@pytest.fixture
def own_data(monkeypatch, tmp_path):
    """Networks of this test alone."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path


def pictures(count: int) -> list[Picture]:
    made = []
    for seed in range(count):
        image, labels = draw_scene(seed)
        made.append(Picture(cv2.imencode(".png", image[..., ::-1])[1].tobytes(), labels, seed % 2))
    return made


def make_trainer(plan, **given):
    from regionmask_ros.lab.distillation.trainer import Trainer

    return Trainer(plan, make_graph("relu"), pictures(8), PREPROCESSING, STRIDES, **given)


def find_best(weights, seed: int) -> dict[int, np.ndarray]:
    """Of each class the box with the best score that a network with these weights finds in a scene."""
    import torch

    from regionmask_ros.lab.distillation.graph_model import GraphModel
    from regionmask_ros.lab.distillation.inputs import to_input
    from regionmask_ros.lab.distillation.objective import Cells
    from regionmask_ros.lab.distillation.rewrite import set_weights

    image, _ = draw_scene(seed)
    with torch.no_grad():
        output, _ = GraphModel(set_weights(make_graph("relu"), weights))(to_input(image[None], PREPROCESSING))
    boxes = Cells.of(image.shape[:2], STRIDES).decode(output[..., :4])[0].numpy()
    shares = (output[0, :, 4:5].sigmoid() * output[0, :, 5:].sigmoid()).numpy()
    return {kind: boxes[shares[:, kind].argmax()] for kind in range(len(CLASSES))}


def count_found(weights) -> int:
    """How many of the 20 blocks of 10 new scenes the best box of their class overlaps by half."""
    from regionmask_ros.core.boxes import iou_matrix

    found = 0
    for seed in range(100, 110):
        best, (_, labels) = find_best(weights, seed), draw_scene(seed)
        found += sum(float(iou_matrix(best[kind][None], labels[kind:kind + 1, :4])[0, 0]) >= 0.5 for kind in best)
    return found


@needs_torch
def test_a_student_learns_drawn_blocks_from_labels(small_samples):
    from regionmask_ros.lab.distillation.trainer import Plan

    # With 240 steps, whether the last ones, with rounded weights, end well is left to chance.
    trainer = make_trainer(Plan(500, 8, 1, CHANNEL, 6e-2))
    assert count_found(trainer.weights()) <= 3
    while trainer.step < trainer.last_step:
        trainer.advance()
    assert count_found(trainer.weights()) >= 14
    for weight, _ in trainer.weights().values():
        steps = find_steps(weight, CHANNEL).reshape(-1, 1, 1, 1)
        np.testing.assert_allclose(weight / steps, np.rint(weight / steps), atol=1e-3)


@needs_torch
def test_a_student_learns_what_its_teacher_with_smooth_activations_says(small_samples):
    from regionmask_ros.lab.distillation.guide import Guide
    from regionmask_ros.lab.distillation.rewrite import make_event_friendly
    from regionmask_ros.lab.distillation.trainer import Plan, Trainer

    teacher = make_graph("silu", seed=3)
    plan = Plan(60, 4, 1, FLOAT, 6e-3, hint_weight=2.0, with_labels=False)
    trainer = Trainer(plan, make_event_friendly(teacher)[0], pictures(8), PREPROCESSING, STRIDES,
                      Guide(teacher, PREPROCESSING), twin=True)
    losses = [trainer.advance() for _ in range(60)]
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:5])


@needs_torch
def test_a_guide_says_of_each_cell_what_its_output_says_for_the_classes_of_the_student():
    from regionmask_ros.backends.runtimes import run_once
    from regionmask_ros.lab.distillation.guide import Guide
    from regionmask_ros.lab.distillation.inputs import to_input

    teacher, (image, _) = make_graph("silu", seed=3), draw_scene(1)
    expected = run_once(teacher.SerializeToString(), "images",
                        np.ascontiguousarray(to_input(image[None], PREPROCESSING).numpy()))["output"]
    same = Guide(teacher, PREPROCESSING).answer(image[None])[0].numpy()
    np.testing.assert_allclose(same, expected, atol=2e-3)
    # The second class of the teacher, and one that it does not know.
    chosen = Guide(teacher, PREPROCESSING, (1, -1)).answer(image[None])[0].numpy()
    np.testing.assert_allclose(chosen[..., :4], expected[..., :4], atol=2e-3)
    np.testing.assert_allclose(chosen[..., 4] * chosen[..., 5], expected[..., 4] * expected[..., 6], atol=1e-4)
    assert not chosen[..., 6].any()


@needs_torch
def test_a_guide_with_other_values_inside_teaches_through_adapters(small_samples):
    from regionmask_ros.lab.distillation.guide import Guide, pair_values
    from regionmask_ros.lab.distillation.trainer import Plan

    guide = Guide(make_graph("silu", seed=3), PREPROCESSING)
    trainer = make_trainer(Plan(60, 4, 1, FLOAT, 2e-2, hint_weight=0.5, with_labels=False), guide=guide)
    hints = pair_values(trainer._model, guide.model, STRIDES)
    assert hints and len(trainer._helpers()) == 2 * len(hints)
    losses = [trainer.advance() for _ in range(60)]
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:5])


@needs_torch
@pytest.mark.parametrize("grid, stop", [(POW2, 5), (POW2, 9), (LAVA64, 9), (FLOAT, 5)])
def test_a_resumed_training_ends_with_the_same_weights(grid, stop, small_samples, tmp_path):
    from regionmask_ros.lab.distillation.guide import Guide
    from regionmask_ros.lab.distillation.trainer import Plan
    from regionmask_ros.lab.training.checkpoint import load_checkpoint, save_checkpoint

    plan = Plan(10, 2, 5, grid, 2e-2, hint_weight=0.5)
    given = {"shares": {"down2.sum": 0.0, "down4.sum": 0.5}, "guide": Guide(make_graph("silu", seed=3), PREPROCESSING)}
    straight, first = (make_trainer(plan, **given) for _ in range(2))
    while straight.step < straight.last_step:
        straight.advance()
    while first.step < stop:
        first.advance()
    save_checkpoint(tmp_path / "checkpoint.npz", first.state())
    second = make_trainer(plan, **given)
    second.prepare(first.step, plan.float_steps)
    second.restore(load_checkpoint(tmp_path / "checkpoint.npz", second.state()))
    while second.step < second.last_step:
        second.advance()
    assert second.losses == straight.losses
    for name, (weight, bias) in straight.weights().items():
        np.testing.assert_array_equal(weight, second.weights()[name][0])
        np.testing.assert_array_equal(bias, second.weights()[name][1])


@needs_torch
def test_what_rests_stays_until_weights_are_rounded_and_an_early_stop_leaves_the_rounded_part(small_samples):
    from regionmask_ros.lab.distillation.trainer import Plan

    trainer = make_trainer(Plan(50, 2, 1, POW2, 2e-2), shares={"down2.sum": 0.0})
    before = trainer.weights()["down2.sum"][0]
    for _ in range(3):
        trainer.advance()
    np.testing.assert_array_equal(trainer.weights()["down2.sum"][0], before)
    trainer.stop_early()
    assert trainer.last_step == 3 + 6
    trainer.advance()
    changed = trainer.weights()["down2.sum"][0]
    step = find_steps(changed, POW2)[0]
    assert np.array_equal(changed / step, np.rint(changed / step)) and not np.array_equal(changed, before)


@needs_torch
def test_the_graph_in_torch_computes_what_the_runtime_computes_also_with_normalization():
    import torch

    from regionmask_ros.backends.runtimes import run_once
    from regionmask_ros.lab.distillation.graph_model import GraphModel

    image = np.random.default_rng(0).normal(0, 1, (1, 3, 64, 96)).astype(np.float32)
    for activation in ("silu", "relu"):
        model = GraphModel(make_graph(activation))
        expected = run_once(make_graph(activation).SerializeToString(), "images", image)["output"]
        for normalized in (False, True):
            if normalized:
                model.add_norms([torch.from_numpy(image)])
                model.eval()
            with torch.no_grad():
                output = model(torch.from_numpy(image))[0].numpy()
            output[..., 4:] = 1 / (1 + np.exp(-output[..., 4:]))
            np.testing.assert_allclose(output, expected, atol=2e-3)


@needs_torch
def test_equalized_weights_compute_the_same_with_ranges_nearer_each_other():
    import torch

    from regionmask_ros.lab.distillation.equalize import equalize
    from regionmask_ros.lab.distillation.graph_model import GraphModel

    model = GraphModel(make_graph("relu"))
    with torch.no_grad():
        model.weight("down4.sum").mul_(torch.logspace(-2, 2, 16, base=2).view(-1, 1, 1, 1))
    image = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    expected = model(image)[0].detach()

    def spread() -> float:
        ranges = model.weight("down4.sum").detach().abs().amax((1, 2, 3))
        return float((ranges.max() / ranges.min()).log2())

    before = spread()
    equalize(model)
    torch.testing.assert_close(model(image)[0].detach(), expected, atol=1e-3, rtol=1e-3)
    assert spread() < 0.75 * before


def test_without_torch_one_line_says_how_to_install_it(capsys, monkeypatch, own_data):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "torch" else find(name, *rest))
    assert main(["tiny", "street.mp4", "--output", "mine", "--folder", str(own_data / "out")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "make train-setup" in error and not (own_data / "out").exists()


@pytest.mark.parametrize("arguments, message", [
    (["--output", "yolo_kp"], "has another meaning"), (["--output", "a", "--steps", "0"], "--steps 0: must be 1"),
    (["--output", "a", "--look-every", "0"], "--look-every 0"), (["--output", "a", "--seed", "-1"], "--seed -1"),
    (["--output", "a", "--classes", " , "], "names no class"),
])
def test_arguments_that_do_not_fit_are_refused_in_one_line(arguments, message, capsys):
    assert main(["tiny", "a.mp4", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def write_scenes(path) -> str:
    return write_video(path, [draw_scene(seed)[0][..., ::-1] for seed in range(12)], 10.0)


@needs_torch
@pytest.mark.parametrize("student, grid", [("same", "pow2"), ("street", "channel")])
def test_the_command_makes_a_network_that_is_used_by_name_and_continues(student, grid, small_samples, own_data, capsys,
                                                                       monkeypatch):
    pytest.importorskip("openvino", reason="OpenVINO is not installed: run 'make runtimes'")
    # An untrained teacher is unsure of everything.
    monkeypatch.setattr("regionmask_ros.lab.distillation.teacher.LOWEST_SCORE", 0.0)
    store_network(make_tiny("teacher"))
    clip = write_scenes(own_data / "scenes.mp4")
    command = ["teacher", clip, "--student", student, "--grid", grid, "--output", "mine", "--folder",
               str(own_data / "mine"), "--steps", "4", "--batch", "2", "--every", "2", "--look-every", "2",
               "--classes", "red,blue", "--from-nothing"]
    assert main(command) == 0
    network, facts = load_card(find_card("mine")), json.loads((own_data / "mine/training.json").read_text())
    assert network.labels == CLASSES and network.head.family == "yolox"
    assert facts["grid"] == grid and facts["steps"] == 4 and facts["teachers"][0]["name"] == "teacher"
    assert (find_card("mine").parent / "training.json").exists() and 0 <= facts["zero_share"] <= 1
    capsys.readouterr()
    assert main([*command, "--resume"]) == 0
    assert load_card(find_card("mine")).model == network.model, "a finished training is not changed"
    assert main([*command[:-1], "--resume", "--from-nothing", "--seed", "3"]) == 2
    assert "its --seed is 0, not 3" in capsys.readouterr().err


@needs_torch
def test_only_a_raw_yolox_teacher_can_teach_its_own_graph(own_data, capsys):
    from dataclasses import replace

    tiny = make_tiny("decoded")
    store_network(replace(tiny, head=replace(tiny.head, numbers={"raw": 0.0})))
    clip = write_scenes(own_data / "scenes.mp4")
    assert main(["decoded", clip, "--student", "same", "--output", "mine", "--folder", str(own_data / "m")]) == 2
    assert "needs a YOLOX detector with a raw head" in capsys.readouterr().err
