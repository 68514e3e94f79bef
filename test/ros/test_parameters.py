"""The one table of parameters, its YAML and its checks."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from regionmask_ros.errors import UserError
from regionmask_ros.pipeline import PipelineSettings
from regionmask_ros.ros.declaration import descriptor
from regionmask_ros.ros.parameters import PARAMETERS, Changeable, settings_from, yaml_text

CONFIG = Path(__file__).resolve().parents[2] / "config" / "detector.yaml"

DEFAULTS = {spec.name: spec.default for spec in PARAMETERS}


def test_the_yaml_file_is_what_the_table_says():
    cure = "run: python -m regionmask_ros.ros.parameters > config/detector.yaml"
    assert CONFIG.read_text(encoding="utf-8") == yaml_text(), cure


def test_the_yaml_holds_every_parameter_with_its_default_and_its_type():
    read = yaml.safe_load(yaml_text())["/**"]["ros__parameters"]
    assert read == DEFAULTS
    assert {name: type(value) for name, value in read.items()} == {s.name: type(s.default) for s in PARAMETERS}


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
    assert settings_from(DEFAULTS) == PipelineSettings(mask="dynamic")


def test_what_can_change_while_running_is_what_the_pipeline_can_change():
    running = {spec.name for spec in PARAMETERS if spec.changeable is Changeable.RUNNING}
    assert running == {
        "mask_mode", "static_mask", "dynamic_mask", "preset", "refresh_period", "score_threshold", "nms_iou",
    }


def test_a_preset_decides_instead_of_the_mask_mode():
    assert settings_from({**DEFAULTS, "preset": "fast"}) == PipelineSettings(preset="fast")


@pytest.mark.parametrize(("name", "value"), [
    ("mask_mode", "all"), ("backend", "gpu"), ("arithmetic", "float"), ("input_size", "450x450"),
    ("dynamic_mask", "mgnet"), ("preset", "lazy"), ("image_reliability", "maybe"), ("mask_mode", "static"),
])
def test_a_value_that_makes_no_sense_is_refused_by_name(name, value):
    with pytest.raises(UserError) as refused:
        settings_from({**DEFAULTS, name: value})
    assert value in str(refused.value)
