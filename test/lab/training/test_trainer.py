"""Training of a mask network, and the command `train_mgnet`."""

from __future__ import annotations

import importlib.util
import json
import signal
import subprocess
import sys

import numpy as np
import pytest

from regionmask_ros.commands.train_mgnet import main
from regionmask_ros.errors import UserError
from regionmask_ros.lab.training.checkpoint import defer_interrupts, load_checkpoint, save_checkpoint
from regionmask_ros.lab.training.clips import TrainingClip
from regionmask_ros.lab.training.teacher import ClipLabels
from regionmask_ros.mask.mgnet.weights import load_weights

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="torch is not installed: run 'make train-setup'")


def test_without_torch_one_line_says_how_to_install_it(capsys, monkeypatch, make_clip, tmp_path):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "torch" else find(name, *rest))
    assert main([make_clip(3, 2), "--output", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "make train-setup" in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("arguments, message", [
    ([], "give videos to train on"), (["a.mp4"], "give videos to train on"),
    (["a.mp4", "--output", "o", "--labels", "csv:a", "--labels", "csv:b"], "1 sources but 2 --labels"),
    (["a.mp4", "--output", "o", "--steps", "0"], "--steps 0"), (["a.mp4", "--output", "o", "--seed", "-1"], "--seed"),
    (["a.mp4", "--score", "csv:b"], "leave out sources"), (["--score", "csv:nowhere"], "no such file"),
    (["--score", "csv:b", "--masked", "1"], "--masked 1"),
    (["--score", "csv:b", "--weights", "light=x.npz"], "give it another name"),
    (["--score", "csv:b", "--weights", "x.npz"], "x.npz: no such file"),
])
def test_arguments_that_do_not_fit_are_refused_in_one_line(arguments, message, capsys):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def clip(name: str, seed: int, frames: int = 6) -> TrainingClip:
    """A bright square on noise."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 90, (frames, 90, 160, 3)).astype(np.uint8)
    boxes = []
    for t in range(frames):
        x, y = 10 + 8 * t, 20 + 5 * seed
        images[t, y:y + 40, x:x + 30] = 230
        boxes.append(np.array([[x / 160, y / 90, (x + 30) / 160, (y + 40) / 90]], np.float32))
    nothing = tuple(np.zeros((0, 4), np.float32) for _ in boxes)
    return TrainingClip(name, images, ClipLabels(tuple(boxes), nothing, nothing), np.zeros(frames, np.int64))


@needs_torch
@pytest.mark.parametrize("architecture, steps", [("light", 4), ("paper", 2)])
def test_a_resumed_training_ends_with_the_same_weights(architecture, steps, tmp_path):
    from regionmask_ros.lab.training.trainer import Trainer, TrainingPlan

    plan, clips = TrainingPlan(architecture, steps, 5, 0.6), [clip("a", 0), clip("b", 1)]
    straight = Trainer(plan, clips, [])
    for _ in range(steps):
        straight.advance()
    first = Trainer(plan, clips, [])
    for _ in range(steps // 2):
        first.advance()
    first.evaluate()
    save_checkpoint(tmp_path / "checkpoint.npz", first.state())
    second = Trainer(plan, clips, [])
    second.restore(load_checkpoint(tmp_path / "checkpoint.npz", second.state()))
    assert second.step == steps // 2 and second.outcomes == first.outcomes
    for _ in range(steps // 2):
        second.advance()
    assert second.losses == pytest.approx(straight.losses, rel=1e-6)
    for name, value in straight.state().items():
        if not name.startswith("history"):
            np.testing.assert_allclose(second.state()[name], value, atol=1e-6, err_msg=name)


@needs_torch
def test_the_loss_falls_and_the_weights_get_a_threshold():
    from regionmask_ros.lab.training.trainer import Trainer, TrainingPlan

    trainer = Trainer(TrainingPlan("light", 20, 0, 0.6), [clip("a", 0), clip("b", 1)], [clip("c", 2)])
    for _ in range(20):
        trainer.advance()
    assert np.mean(trainer.losses[-5:]) < 0.9 * np.mean(trainer.losses[:5])
    outcome = trainer.evaluate()
    assert 0.0 < outcome.threshold < 2.0 and trainer.weights().threshold == outcome.threshold


def test_damaged_checkpoints_are_refused_in_one_line(tmp_path):
    path, like = tmp_path / "c.npz", {"step": np.int64(3), "history.losses": np.zeros(2), "model.a": np.zeros((2, 3))}
    for state, message in [
        ({"step": np.int64(1)}, "no array history.losses"), ({**like, "model.a": np.zeros((3, 3))}, "another training"),
        ({**like, "model.a": np.full((2, 3), np.inf)}, "not finite"),
    ]:
        save_checkpoint(path, state)
        with pytest.raises(UserError, match=message):
            load_checkpoint(path, like)
    save_checkpoint(path, {**like, "history.losses": np.zeros(9)})
    assert len(load_checkpoint(path, like)["history.losses"]) == 9, "a history may have grown"
    path.write_bytes(b"PK nonsense")
    with pytest.raises(UserError, match="damaged"):
        load_checkpoint(path, like)


@needs_torch
def test_the_command_trains_from_labels_and_resumes(trained_file, make_clip, tmp_path, capsys):
    video, labels, out = make_clip(8, 6), tmp_path / "gt.csv", tmp_path / "out"
    rows = [f"{t},car,{6 * t},30,40,40,0,1" for t in range(8)]
    labels.write_text("frame,class,x,y,w,h,ignore,track\n" + "\n".join(rows) + "\n")
    command = [video, "--labels", f"csv:{labels}", "--output", str(out), "--network", str(trained_file),
               "--look-every", "2"]
    assert main([*command, "--steps", "3"]) == 0
    card = json.loads((out / "training.json").read_text())
    assert card["steps"] == 3 and card["frames"] == 8 and (out / "curves.png").read_bytes()[:4] == b"\x89PNG"
    assert load_weights(str(out / "mgnet.npz")).architecture == "light"
    assert len(list((out / "taught").glob("*.npz"))) == 1
    assert main([*command, "--steps", "3", "--resume"]) == 0
    capsys.readouterr()
    assert main([*command, "--steps", "4", "--resume"]) == 2
    assert "its --steps is 3, not 4" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_waits_for_the_end_of_the_step(number):
    before, done = signal.signal(number, signal.default_int_handler), []
    try:
        with pytest.raises(KeyboardInterrupt):
            with defer_interrupts():
                signal.raise_signal(number)
                done.append("rest of the step")
            done.append("next step")
        assert done == ["rest of the step"] and signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, before)


@needs_torch
def test_ctrl_c_leaves_a_checkpoint_to_resume_from(trained_file, make_clip, tmp_path):
    video, labels, out = make_clip(8, 6), tmp_path / "gt.csv", tmp_path / "out"
    rows = "".join(f"{t},car,{6 * t},30,40,40,0,1\n" for t in range(8))
    labels.write_text("frame,class,x,y,w,h,ignore,track\n" + rows)
    command = [sys.executable, "-m", "regionmask_ros", "train_mgnet", video, "--labels", f"csv:{labels}", "--output",
               str(out), "--network", str(trained_file), "--look-every", "2", "--steps", "100000"]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert run.stdout.readline().startswith("step 2: loss")
        run.send_signal(signal.SIGINT)
        output, errors = run.communicate()
    finally:
        run.kill()
    assert run.returncode == 130 and "Traceback" not in errors
    last = output.splitlines()[-1]
    assert last.startswith("stopped at step") and "--resume" in last
    assert int(np.load(out / "checkpoint.npz")["step"]) == int(last.split()[3])
    assert not list(out.glob("*.partial*")) and not list(out.glob(".*partial*"))
