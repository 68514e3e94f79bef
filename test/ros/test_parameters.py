"""The options as ROS parameters, and one default that all makers of pages and interfaces take from the table."""

from __future__ import annotations

import json

import pytest
import yaml
from python_process import run_python

from regionmask_ros.backends.runtimes import RUNTIMES
from regionmask_ros.core.option_table import OPTIONS
from regionmask_ros.core.options import ChangePolicy
from regionmask_ros.network.dense import DenseNetwork, HeadSpec, Preprocessing
from regionmask_ros.ros.node import DetectorNode
from regionmask_ros.ros.parameters import make_descriptor, make_response_settings, read_all
from regionmask_ros.ros.session import RosSession

DEFAULTS = {name: option.default for name, option in OPTIONS.items()}


@pytest.mark.parametrize("option", OPTIONS.values(), ids=lambda option: option.name)
def test_every_parameter_has_a_descriptor_with_its_range(option):
    descriptor = make_descriptor(option)
    assert descriptor.description == option.text
    assert descriptor.read_only == (option.changeable is ChangePolicy.START)
    assert option.changeable.value in descriptor.additional_constraints
    ranges = [*descriptor.integer_range, *descriptor.floating_point_range]
    assert len(ranges) == (option.limits is not None)
    for limits in ranges:
        assert limits.from_value <= option.default <= limits.to_value
        assert limits.to_value in option.limits, "the largest value that ROS accepts is one that the settings accept"


def test_an_empty_list_in_a_parameter_file_is_an_empty_list_of_texts(tmp_path, ros_environment):
    file = tmp_path / "parameters.yaml"
    file.write_text("/**:\n  ros__parameters:\n    classes: []\n    class_thresholds: []\n    autostart: false\n")
    with RosSession(["--ros-args", "--params-file", str(file)]) as session:
        values = read_all(session.add(DetectorNode))
    assert values["classes"] == values["class_thresholds"] == () and not values["autostart"]


def test_what_the_node_itself_does(trained):
    kept = make_response_settings(DEFAULTS, trained)
    assert not kept.drop_stale and kept.attention_ns == 10**9
    dropped = make_response_settings({**DEFAULTS, "stale_detections": "drop", "attention_lifetime": 0.25}, trained)
    assert dropped.drop_stale and dropped.attention_ns == 250_000_000


def test_the_fallback_of_an_onnx_network_runs_on_the_processor():
    """The device that has failed is no device to fall back to, and another runtime may not know its name."""
    for package in RUNTIMES:
        pytest.importorskip(package, reason=f"no {package}: `make runtimes` brings it")
    network = DenseNetwork("small", b"model", HeadSpec("yolov5", 1, ("out",)), ("thing",), Preprocessing(), "images")
    given = {**DEFAULTS, "backend": "openvino", "device": "GPU", "precision": "fp16", "threads": 3}
    fallback = make_response_settings(given, network).fallback
    assert fallback.backend == "onnxruntime"
    assert (fallback.backend_options["device"], fallback.backend_options["precision"]) == ("CPU", "auto")
    assert fallback.backend_options["threads"] == 3


ANOTHER_DEFAULT = """
import json
from dataclasses import replace
from regionmask_ros.core import option_table

def other_default(option):
    if option.choices:
        return next(choice for choice in reversed(option.choices) if choice != option.default)
    if option.kind is bool:
        return not option.default
    if option.limits:
        high = option.limits.inclusive[1]
        return high if option.kind is float else int(high)
    return ("other:0.5",) if option.kind is tuple else "other.npz"

for name, option in option_table.OPTIONS.items():
    option_table.OPTIONS[name] = replace(option, default=other_default(option))

import rclpy
from rclpy.node import Node
from regionmask_ros.commands import run
from regionmask_ros.commands._parser import build_parser
from regionmask_ros.core.option_table import OPTIONS, options_of
from regionmask_ros.pipeline import option_docs
from regionmask_ros.pipeline.settings import BACKENDS, Adaptive, PipelineSettings, PresetOverrides
from regionmask_ros.ros import parameters

rclpy.init()
node = Node("defaults")
parameters.declare_all(node)
classes = (*(backend.options_class for backend in BACKENDS.values()), Adaptive, PresetOverrides, PipelineSettings)
parser = build_parser("run")
print(json.dumps({
    "table": {name: option.default for name, option in OPTIONS.items()},
    "command line": {name: parser.get_default(name) for name in OPTIONS},
    "help": parser.format_help(),
    "ROS": parameters.read_all(node),
    "settings": {option.name: getattr(kind, field) for kind in classes for field, option in options_of(kind).items()},
    "yaml": option_docs.make_yaml(),
    "page": option_docs.make_tables(),
}))
rclpy.shutdown()
"""


def test_a_default_that_changes_in_the_table_changes_everywhere():
    found = json.loads(run_python("-c", ANOTHER_DEFAULT).stdout)
    table, settings = found["table"], found["settings"]
    assert all(table[name] != json.loads(json.dumps(default)) for name, default in DEFAULTS.items())
    assert found["command line"] == table
    assert found["ROS"] == table
    assert yaml.safe_load(found["yaml"])["/**"]["ros__parameters"] == table
    assert settings == {name: table[name] for name in settings}
    assert table.keys() - settings.keys() == {
        "mask_mode", "preset", *(name for name, option in OPTIONS.items() if option.group is option.group.NODE),
        "stale_detections", "network_file"}
    rows = {row.split("`")[1]: row.split(" | ")[2] for row in found["page"].splitlines() if row.startswith("| `")}
    assert {name: yaml.safe_load(default.strip("`")) for name, default in rows.items()} == table
    text = " ".join(found["help"].split())
    for default in table.values():
        assert f"Default: {','.join(default) if isinstance(default, list) else default}." in text
