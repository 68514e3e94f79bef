"""The options of `run` are the parameters of the node."""

from __future__ import annotations

import csv
import json

import cv2
import numpy as np
import pytest

from regionmask_ros.commands import run
from regionmask_ros.commands._parser import build_parser
from regionmask_ros.core.option_table import OPTIONS

FRAMES = 12


def parse(*words: str):
    parser = build_parser("run")
    return parser.parse_args(parser.replace_names(["clip.mp4", "--output", "out", *words]))


@pytest.mark.parametrize("option", OPTIONS.values(), ids=lambda option: option.name)
def test_every_parameter_is_an_option_of_its_name_with_the_same_default(option):
    assert getattr(parse(), option.name) == option.default
    text = ",".join(option.default) if isinstance(option.default, tuple) else str(option.default)
    for name in (option.flag, f"--{option.name}"):
        for words in ([name, text], [f"{name}={text}"]):
            args = parse(*words)
            assert getattr(args, option.name) == option.default and args.given == {option.name}


def test_short_forms_set_the_same_options():
    args = parse("--mask", "none", "--network", "net.pt", "--dynamic", "mgnet", "--compressed")
    assert (args.mask_mode, args.network_file, args.dynamic_mask, args.image_transport) == (
        "none", "net.pt", "mgnet", "compressed")


def test_options_are_shown_in_groups_those_of_experts_last():
    text = build_parser("run").format_help()
    titles = [line[:-1] for line in text.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert titles[-3:-1] == ["For experts: values of a preset", "For experts: Lava and Loihi 2"], "before the examples"
    experts = text.partition(titles[-3])[2]
    common = text[:-len(experts)]
    assert "--preset-work" in experts and "--loihi2-io" in experts
    assert "--preset-" not in common and "--loihi2-io" not in common and "--score-threshold" in common


@pytest.fixture
def run_clip(trained, clip, tmp_path, capfd):
    """Runs with options; returns the figures, the detections, the masks, and what was printed on stderr."""
    def call(*options: str):
        out, figures, heads = tmp_path / "out", tmp_path / "figures.json", tmp_path / "heads.npz"
        assert run.main([clip, "-q", "-o", str(out), "--no-video", "--json", str(figures), "--dump-head", str(heads),
                         *options]) == 0
        with np.load(heads) as dump:
            masked = dump["masked"]
        rows = list(csv.DictReader((out / "detections.csv").open()))
        return json.loads(figures.read_text()), rows, masked, capfd.readouterr().err

    return call


def test_a_run_without_options_uses_the_preset_of_the_node(run_clip):
    summary, _, masked, err = run_clip()
    assert (summary["mask"], summary["thresholds"], summary["arithmetic"]) == ("balanced", "tuned", "snap")
    assert masked.any() and err == ""


def test_mask_none_observes_everything(run_clip):
    summary, _, masked, _ = run_clip("--mask", "none")
    assert (summary["mask"], summary["thresholds"]) == ("none", "trained") and not masked.any()


def test_a_static_mask_alone_is_combined_with_the_preset(run_clip, half):
    summary, _, masked, err = run_clip("--static-mask", half)
    assert summary["mask"] == "balanced+static" and err == ""
    assert masked[1:, :, 5:].any() and not masked[:, :, :5].any()
    _, _, preset_alone, _ = run_clip()
    np.testing.assert_array_equal(masked[:2, :, 5:], preset_alone[:2, :, 5:])
    summary, _, masked, _ = run_clip("--static-mask", half, "--preset", "fast")
    assert summary["mask"] == "fast+static" and not masked[:, :, :5].any()


def test_detections_are_selected_as_in_the_node(run_clip):
    _, everything, _, _ = run_clip("--mask", "none", "--score-threshold", "0.02")
    names = sorted({row["class"] for row in everything})
    _, best, _, _ = run_clip("--mask", "none", "--score-threshold", "0.02", "--max-detections", "1")
    assert len(best) == len({row["frame"] for row in everything}) < len(everything)
    _, one_class, _, _ = run_clip("--mask", "none", "--score-threshold", "0.02", "--classes", names[0])
    assert {row["class"] for row in one_class} == {names[0]}
    _, without, _, _ = run_clip("--mask", "none", "--score-threshold", "0.02", "--class-thresholds", f"{names[0]}:1")
    assert [row for row in everything if row["class"] != names[0]] == without


def test_stale_detections_can_be_dropped(run_clip, tmp_path):
    mask = str(tmp_path / "right_edge.png")
    cv2.imwrite(mask, np.repeat([[0] * 9 + [255]], 6, axis=0).astype(np.uint8))
    options = ("--mask", "static", "--static-mask", mask, "--refresh-period", "0", "--score-threshold", "0.02")
    _, kept, _, _ = run_clip(*options)
    _, dropped, _, _ = run_clip(*options, "--stale-detections", "drop")
    stale = [row for row in kept if int(row["frame"]) > 0 and float(row["x"]) + float(row["w"]) < 144.0]
    assert stale and dropped == [row for row in kept if row not in stale]


@pytest.mark.parametrize(("options", "words"), [
    ("--fallback none", "--fallback none: has an effect in the ROS node only"),
    ("--refresh-period 4", "--refresh-period 4: not used with --mask preset; it needs a mask without preset"),
    ("--dynamic mgnet", "--dynamic-mask mgnet: not used with --mask preset; it needs a mask with dynamic"),
    ("--mask none --preset fast", "--preset fast: not used with --mask none"),
    ("--mask dynamic --mgnet-weights a.npz", "needs a mask with dynamic in it, and --dynamic mgnet"),
    ("--mask none --adaptive-ring 2", "--adaptive-ring 2: not used with --mask none"),
    ("--input-size 96x64 --max-pixels 5000", "--max-pixels 5000: not used with --input-size 96x64"),
    ("--image-transport raw", "--image-transport raw: a clip.mp4 is no bag"),
    ("--threads 2", "--threads 2: for the backend openvino and onnxruntime; this run uses cpu"),
    ("--lava-sim-conv stock", "--lava-sim-conv stock: for the backend lava_sim; this run uses cpu"),
])
def test_options_that_cannot_take_effect_are_refused(trained_file, clip, tmp_path, monkeypatch, capfd, options, words):
    monkeypatch.chdir(tmp_path)
    assert run.main([clip, *options.split()]) == 2
    said = capfd.readouterr().err.splitlines()
    assert len(said) == 1 and words in said[0] and list(tmp_path.iterdir()) == []


def test_the_figures_name_the_mask_that_was_used(run_clip):
    assert run_clip("--mask", "dynamic")[0]["mask"] == "tracking"
    assert run_clip("--mask", "adaptive+dynamic", "--dynamic", "mgnet")[0]["mask"] == "adaptive+mgnet"


def test_without_output_each_run_has_a_folder_of_its_own(trained_file, clip, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert run.main([clip, "-q", "--no-video", "--max-frames", "2"]) == 0
    assert capfd.readouterr() == ("", "")
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {"run-1", "run-2"}
    assert all((tmp_path / "runs" / name / "report.html").exists() for name in ("run-1", "run-2"))


def test_an_old_name_works_and_names_the_new_one(capfd):
    args = parse("--backend", "lava_sim", "--backend-option", "conv=stock", "--backend-option", "step_timeout=7")
    values = run._read_values(args)
    assert values["lava_sim_conv"] == "stock" and values["backend_step_timeout"] == 7.0
    lines = capfd.readouterr().err.splitlines()
    assert [line.rpartition("use ")[2] for line in lines] == ["--lava-sim-conv stock", "--backend-step-timeout 7"]
    assert all("old name" in line for line in lines)
