"""The one table of parameters, its YAML and its checks."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from regionmask_ros.errors import UserError
from regionmask_ros.mask.adaptive import Adaptive
from regionmask_ros.mask.policy import MODES
from regionmask_ros.mask.scheduling import PRESETS, PresetOverrides
from regionmask_ros.pipeline.settings import RECONFIGURABLE, PipelineSettings
from regionmask_ros.ros.parameter_docs import insert_table, markdown_table, yaml_text
from regionmask_ros.ros.parameters import (
    BACKEND_PARAMETERS,
    PARAMETERS,
    ChangePolicy,
    descriptor,
    response_settings_from,
    settings_from,
)

REPOSITORY = Path(__file__).resolve().parents[2]
HINT = "run: python -m regionmask_ros.ros.parameter_docs"

DEFAULTS = {spec.name: spec.default for spec in PARAMETERS}


def test_the_yaml_file_is_what_the_table_says():
    assert (REPOSITORY / "config" / "detector.yaml").read_text(encoding="utf-8") == yaml_text(), HINT


def test_the_page_of_parameters_has_the_table():
    page = (REPOSITORY / "docs" / "PARAMETERS.md").read_text(encoding="utf-8")
    assert insert_table(page) == page, HINT
    rows = [row.split(" | ")[0] for row in markdown_table().splitlines() if row.startswith("| `")]
    assert rows == [f"| `{spec.name}`" for spec in PARAMETERS]
    assert not [row for row in markdown_table().splitlines()[1:-1] if row.count("|") != 7], "a cell holds a bar"
    with pytest.raises(UserError, match="missing"):
        insert_table("# no place for it")


def test_the_yaml_holds_every_parameter_with_its_default_and_its_type():
    read = yaml.safe_load(yaml_text())["/**"]["ros__parameters"]
    assert {name: tuple(v) if isinstance(v, list) else v for name, v in read.items()} == DEFAULTS
    types = {s.name: list if isinstance(s.default, tuple) else type(s.default) for s in PARAMETERS}
    assert {name: type(value) for name, value in read.items()} == types


@pytest.mark.parametrize("spec", PARAMETERS, ids=lambda spec: spec.name)
def test_every_parameter_is_described_and_every_number_has_a_range_that_holds_its_default(spec):
    assert spec.description.endswith(".")
    described = descriptor(spec)
    assert described.description == spec.description and not described.read_only
    ranges = [*described.integer_range, *described.floating_point_range]
    if isinstance(spec.default, (int, float)) and not isinstance(spec.default, bool):
        assert len(ranges) == 1 and ranges[0].from_value <= spec.default <= ranges[0].to_value
    else:
        assert not ranges
    if spec.choices:
        assert spec.default in spec.choices


def test_the_defaults_are_the_pipelines_but_for_the_mask():
    assert settings_from(DEFAULTS) == PipelineSettings(preset="balanced")
    assert settings_from({**DEFAULTS, "mask_mode": "dynamic"}) == PipelineSettings(mask="dynamic")


def test_whatever_the_pipeline_can_change_can_be_set_while_running():
    running = {spec.name for spec in PARAMETERS if spec.changeable is ChangePolicy.RUNNING}
    parts = {"mask": ["mask_mode"], "dynamic": ["dynamic_mask"],
             "adaptive": [f"adaptive_{field.name}" for field in fields(Adaptive)],
             "knobs": [f"preset_{field.name}" for field in fields(PresetOverrides)]}
    of_pipeline = {one for name in RECONFIGURABLE for one in parts.get(name, [name])}
    of_node = {"stale_detections", "attention_lifetime", "static_mask_output", "fallback"}
    assert running == of_pipeline | of_node | set(BACKEND_PARAMETERS)


def test_lists_of_names_and_scores():
    settings = settings_from({
        **DEFAULTS, "classes": ("person", " traffic light ", ""),
        "class_thresholds": ("person:0.5", "traffic light: 1"),
    })
    assert settings.classes == ("person", "traffic light")
    assert settings.class_thresholds == (("person", 0.5), ("traffic light", 1.0))


def test_what_the_node_itself_does():
    kept = response_settings_from(DEFAULTS)
    assert not kept.drop_stale and kept.attention_ns == 10**9
    dropped = response_settings_from({**DEFAULTS, "stale_detections": "drop", "attention_lifetime": 0.25})
    assert dropped.drop_stale and dropped.attention_ns == 250_000_000


def test_a_preset_decides_instead_of_the_mask_mode():
    assert settings_from({**DEFAULTS, "preset": "fast"}) == PipelineSettings(preset="fast")


def test_knobs_are_turned_in_a_preset_and_wait_for_one():
    turned = {**DEFAULTS, "preset_border_period": 4, "preset_steer_threshold": 0.625}
    for mode in MODES:
        other = {"mask_mode": mode, "static_mask": "left.png"}
        assert settings_from({**turned, **other}) == settings_from({**DEFAULTS, **other})
    schedule = settings_from({**turned, "preset": "fast"}).schedule
    assert (schedule.border_period, schedule.steer_threshold) == (4, 0.625)
    assert schedule.refresh_period == PRESETS["fast"].refresh_period


@pytest.mark.parametrize(("name", "value"), [
    ("mask_mode", "all"), ("backend", "gpu"), ("arithmetic", "float"), ("input_size", "450x450"),
    ("dynamic_mask", "magic"), ("preset", "lazy"), ("image_reliability", "maybe"), ("mask_mode", "static"),
    ("image_transport", "theora"), ("stale_detections", "hide"),
    ("target_masked", 0.9), ("class_thresholds", ("person",)), ("class_thresholds", ("person:high",)),
    ("class_thresholds", (":0.5",)), ("class_thresholds", ("person:1.5",)), ("class_thresholds", ("person:nan",)),
])
def test_a_value_that_makes_no_sense_is_refused_by_name(name, value):
    with pytest.raises(UserError) as refused:
        settings_from({**DEFAULTS, name: value})
    text = value if isinstance(value, (str, float)) else value[0].partition(":")[2] or value[0]
    assert str(text) in str(refused.value)
