"""From options to settings, and the files that are made from the option table."""

from __future__ import annotations

from dataclasses import fields

import pytest
import yaml

from regionmask_ros.backends import AUTO, BACKENDS
from regionmask_ros.core.arithmetic import RULES
from regionmask_ros.core.option_table import OPTIONS, options_of
from regionmask_ros.core.options import ChangePolicy
from regionmask_ros.errors import UserError
from regionmask_ros.mask.adaptive import Adaptive
from regionmask_ros.mask.schedule import PRESETS, PresetOverrides
from regionmask_ros.pipeline import option_docs
from regionmask_ros.pipeline.composition import SOURCES
from regionmask_ros.pipeline.settings import BACKEND_SETTINGS, MODES, RECONFIGURABLE, PipelineSettings, make_settings

DEFAULTS = {name: option.default for name, option in OPTIONS.items()}


def test_the_choices_are_what_the_program_has():
    known = {"backend": (AUTO, *BACKENDS), "preset": PRESETS, "arithmetic": ("", *RULES)}
    assert {name: OPTIONS[name].choices for name in known} == {name: tuple(names) for name, names in known.items()}
    masks = {part for mode in OPTIONS["mask_mode"].choices for part in mode.split("+")}
    chosen = {*OPTIONS["preset"].choices, *OPTIONS["dynamic_mask"].choices}
    assert masks - {"none", "preset", "dynamic"} | chosen == set(SOURCES)


def test_the_defaults_are_those_of_the_settings_but_for_the_mask():
    assert make_settings(DEFAULTS) == PipelineSettings(preset="balanced")
    assert make_settings({**DEFAULTS, "mask_mode": "none"}) == PipelineSettings()
    assert make_settings({**DEFAULTS, "mask_mode": "dynamic"}) == PipelineSettings(mask="dynamic")
    assert make_settings({**DEFAULTS, "preset": "fast"}) == PipelineSettings(preset="fast")


def test_every_option_of_the_pipeline_reaches_its_settings():
    changed = {
        "max_pixels": 4096, "static_mask": "m.png", "dynamic_mask": "mgnet", "mgnet_weights": "w.npz",
        "target_masked": 0.5, "refresh_period": 5, "restart_period": 7, "score_threshold": 0.1, "nms_iou": 0.2,
        "max_detections": 3, "arithmetic": "snap", "thresholds": "trained",
    }
    settings = make_settings({
        **DEFAULTS, **changed, "mask_mode": "adaptive+dynamic", "input_size": "64x96", "classes": ("a",),
        "class_thresholds": ("a:0.5", "traffic light: 1"), "adaptive_half_life": 3.0, "adaptive_cover": 0.5,
        "adaptive_ring": 2})
    read = {option.name: getattr(settings, field) for field, option in options_of(PipelineSettings).items()}
    assert {name: read[name] for name in changed} == changed
    assert (settings.mask, settings.preset, settings.input_size) == ("adaptive+dynamic", "", (64, 96))
    assert settings.classes == ("a",) and settings.class_thresholds == (("a", 0.5), ("traffic light", 1.0))
    assert settings.adaptive == Adaptive(3.0, 0.5, 2)


def test_a_preset_is_combined_with_a_static_mask():
    settings = make_settings({**DEFAULTS, "mask_mode": "preset+static", "static_mask": "m.png"})
    assert settings == PipelineSettings(preset="balanced", mask="static", static_mask="m.png")
    assert settings.deciding == "balanced+static" and settings.active_sources == ["static", "balanced"]


def test_options_of_the_backend_in_use_reach_it():
    values = {**DEFAULTS, "backend_open_timeout": 5.0, "loihi2_open_timeout": 6.0, "loihi2_io": "ethernet"}
    assert not make_settings(values).backend_options
    assert make_settings({**values, "backend": "lava_sim"}).backend_options == {
        "python": "", "open_timeout": 5.0, "step_timeout": 30.0, "conv": "gemm"}
    board = make_settings({**values, "backend": "loihi2"}).backend_options
    assert (board["open_timeout"], board["io"], len(board)) == (6.0, "ethernet", 21)


def test_values_of_a_preset_are_replaced_in_a_preset_and_wait_for_one():
    replaced = {**DEFAULTS, "preset_border_period": 4, "preset_steer_threshold": 0.625}
    for mode in MODES:
        other = {"mask_mode": mode, "static_mask": "left.png"}
        assert make_settings({**replaced, **other}) == make_settings({**DEFAULTS, **other})
    settings = make_settings({**replaced, "preset": "fast"})
    assert settings.overrides == PresetOverrides(border_period=4, track_threshold=0.625)
    assert settings.schedule != PRESETS["fast"]
    assert settings.schedule.refresh_period == PRESETS["fast"].refresh_period


@pytest.mark.parametrize(("name", "value"), [
    ("mask_mode", "all"), ("backend", "gpu"), ("arithmetic", "float"), ("input_size", "450x450"),
    ("dynamic_mask", "magic"), ("preset", "lazy"), ("image_reliability", "maybe"), ("mask_mode", "static"),
    ("mask_mode", "preset+static"), ("image_transport", "theora"), ("stale_detections", "hide"),
    ("target_masked", 0.9), ("class_thresholds", ("person",)), ("class_thresholds", ("person:high",)),
    ("class_thresholds", (":0.5",)), ("class_thresholds", ("person:1.5",)), ("class_thresholds", ("person:nan",)),
])
def test_an_invalid_value_is_refused_by_name(name, value):
    with pytest.raises(UserError) as refused:
        make_settings({**DEFAULTS, "backend": "cpu", name: value})
    text = value if isinstance(value, (str, float)) else value[0].partition(":")[2] or value[0]
    assert str(text).replace("preset+", "") in str(refused.value)


def test_whatever_the_pipeline_can_change_can_be_set_while_the_node_runs():
    running = {name for name, option in OPTIONS.items() if option.changeable is ChangePolicy.RUNNING}
    settings = {field: option.name for field, option in options_of(PipelineSettings).items()}
    parts = {"mask": ["mask_mode"], "preset": ["preset"]} | {
        field: [option.name for option in options_of(kind).values()]
        for field, kind in (("adaptive", Adaptive), ("overrides", PresetOverrides))}
    of_pipeline = {name for field in {*RECONFIGURABLE, *BACKEND_SETTINGS} - {"backend_options", "runs_tiles"}
                   for name in parts.get(field, [settings.get(field)])}
    of_backends = {option.name for kind in BACKENDS.values() for option in options_of(kind.options_class).values()}
    of_node = {"stale_detections", "attention_lifetime", "static_mask_output", "fallback"}
    at_start = {name for name, option in OPTIONS.items() if option.changeable is ChangePolicy.START}
    assert running == (of_pipeline | of_backends | of_node) - at_start
    assert {field.name for field in fields(PipelineSettings)} == {*RECONFIGURABLE, *BACKEND_SETTINGS}


def test_what_names_programs_hosts_and_folders_is_set_at_start_only():
    at_start = {name for name, option in OPTIONS.items() if option.changeable is ChangePolicy.START}
    assert at_start == {
        "autostart", "network_file", "output_directory", "model_cache", "lava_python", "loihi2_host_mode",
        "loihi2_partition", "loihi2_board", "loihi2_generation", "loihi2_nxsdk_host", "loihi2_host_binary",
        "loihi2_nx_options", "loihi2_ethernet_interface", "loihi2_ethernet_mac", "loihi2_loihi_mac",
        "loihi2_ethernet_chip_id", "loihi2_ethernet_chip_index"}
    # Whoever adds a text without choices decides here whether other programs on the network may set it.
    free = {name for name, option in OPTIONS.items() if option.kind is str and not option.choices} - at_start
    assert free == {"input_size", "tiles", "static_mask", "mgnet_weights", "static_mask_output"}


def test_the_yaml_file_and_the_page_are_what_the_table_says(capsys):
    assert option_docs.main(["--check"]) == 0, capsys.readouterr().out


def test_the_yaml_file_holds_every_parameter_with_its_default_and_its_type():
    read = yaml.safe_load(option_docs.make_yaml())["/**"]["ros__parameters"]
    assert {name: tuple(filter(None, value)) if isinstance(value, list) else value for name, value in read.items()} == (
        DEFAULTS)
    assert all(type(read[name]) is type(value) for name, value in DEFAULTS.items() if not isinstance(value, tuple))


def test_the_page_holds_every_parameter_once():
    rows = [line for line in option_docs.make_tables().splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == list(OPTIONS)
    assert {row.count("|") for row in rows} == {7}, "a cell holds a bar"
    with pytest.raises(UserError, match="missing"):
        option_docs.insert_tables("# no place for it")


@pytest.mark.parametrize(("wrong", "reason"), [
    ({"mask": "both"}, "mask 'both': unknown"),
    ({"mask": "static"}, "needs a static mask file"),
    ({"dynamic": "magic"}, "dynamic_mask 'magic': unknown"),
    ({"mgnet_weights": "m.npz"}, "tracking: has no weights"),
    ({"preset": "lazy"}, "preset 'lazy': unknown; use careful, balanced, fast"),
    ({"preset": "fast", "mask": "dynamic"}, "leave out mask dynamic"),
    ({"overrides": PresetOverrides(refresh_period=4)}, "there is no preset"),
    ({"target_masked": 1.0}, "target_masked 1.0"), ({"target_masked": float("nan")}, "target_masked nan"),
    ({"target_masked": 0.5}, "needs a mask or a preset"),
    ({"backend": "cpu", "target_masked": 0.9, "mask": "dynamic"}, "at most 0.88 can be masked"),
    ({"backend": "cpu", "target_masked": 0.9, "mask": "dynamic", "dynamic": "mgnet"}, "at most 0.88 can be masked"),
    ({"backend": "cpu", "target_masked": 0.8, "preset": "balanced", "overrides": PresetOverrides(refresh_period=4)},
     "at most 0.75"),
    ({"refresh_period": -1}, "refresh_period -1"), ({"nms_iou": -0.1}, "nms_iou -0.1"),
    ({"score_threshold": 1.5}, "score_threshold 1.5"), ({"score_threshold": float("nan")}, "score_threshold nan"),
    ({"input_size": (448, 100)}, "multiples of 32"),
    ({"max_pixels": 10}, "max_pixels 10: must be 1024 to 67108864"),
    ({"backend": "gpu"}, "backend 'gpu': unknown"), ({"arithmetic": "float"}, "arithmetic 'float'"),
    ({"thresholds": "guessed"}, "thresholds 'guessed'"),
    ({"preset": "fast", "backend": "lava_sim", "thresholds": "tuned"}, "only the cpu backend"),
    ({"backend": "cpu", "preset": "fast", "arithmetic": "lava", "thresholds": "tuned"}, "thresholds are for snap"),
])
def test_invalid_settings_are_refused(wrong, reason):
    with pytest.raises(UserError, match=reason):
        PipelineSettings(**wrong)
