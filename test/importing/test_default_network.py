"""The network that runs where the user names none."""

from __future__ import annotations

import hashlib
import json

import pytest

from checks.package_network import LARGEST
from regionmask_ros.core.option_table import OPTIONS
from regionmask_ros.importing.opening import name_network, open_network
from regionmask_ros.network.cards import find_card, read_card
from regionmask_ros.network.files import ENVIRONMENT_KEY
from regionmask_ros.pipeline.settings import make_settings
from regionmask_ros.tiles.compiled import list_kernel_sets

DEFAULTS = {name: option.default for name, option in OPTIONS.items()}


@pytest.fixture(autouse=True)
def own_data(monkeypatch, tmp_path):
    """A user without networks."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.delenv(ENVIRONMENT_KEY, raising=False)


def test_it_is_street_unless_something_else_is_named_or_needed(monkeypatch):
    monkeypatch.setattr("regionmask_ros.importing.opening.list_kernel_sets", lambda: ["portable"])
    assert name_network(DEFAULTS) == name_network({**DEFAULTS, "backend": "cpu"}) == "street"
    assert name_network({**DEFAULTS, "network_file": "mine.onnx"}) == "mine.onnx"
    for name, value in (("backend", "lava_sim"), ("backend", "loihi2"), ("arithmetic", "carry"),
                        ("thresholds", "tuned")):
        assert name_network({**DEFAULTS, name: value}) == "yolo_kp"
    monkeypatch.setattr("regionmask_ros.importing.opening.list_kernel_sets", list)
    assert name_network(DEFAULTS) == "yolo_kp"
    monkeypatch.setenv(ENVIRONMENT_KEY, "yolo_kp")
    assert name_network(DEFAULTS) == ""


def test_the_card_of_street_is_that_of_its_weights():
    card = read_card(find_card("street"))
    content = card.tiles_file.read_bytes()
    assert hashlib.sha256(content).hexdigest() == card.tiles_sha256 and len(content) <= LARGEST
    facts = json.loads((card.file.parent / "training.json").read_text())
    assert facts["classes"] == list(card.network.labels) == ["person", "bicycle", "car", "motorcycle", "bus", "truck"]
    assert facts["student"] == "street" and facts["agreement"] > 50 and card.network.tiles_agreement > 98


@pytest.mark.skipif(not list_kernel_sets(), reason="no compiled kernels: install g++ and run 'make setup'")
def test_street_runs_on_the_tile_engine_with_the_default_options():
    network = open_network(name_network(DEFAULTS))
    settings = make_settings(DEFAULTS).for_network(network)
    assert (network.name, settings.backend, settings.runs_tiles, settings.preset) == ("street", "cpu", True, "balanced")
