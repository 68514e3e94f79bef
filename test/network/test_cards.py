"""Imported networks in the user's data folder: written whole, read with checks, found by name."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from python_process import REPOSITORY

from regionmask_ros.errors import UserError
from regionmask_ros.network.cards import (
    check_name,
    find_card,
    list_cards,
    load_card,
    networks_folder,
    read_card,
    remove_card,
    store_network,
    write_card,
)
from regionmask_ros.network.dense import DenseNetwork, HeadSpec, Preprocessing
from regionmask_ros.network.files import find_network

NETWORK = DenseNetwork(
    name="street", model=b"a model", head=HeadSpec("yolox", 2, ("out",), (8, 16), {"raw": 1.0}), labels=("a", "b"),
    preprocessing=Preprocessing("bgr", (1.0, 2.0, 3.0), (4.0, 5.0, 6.0)), input_name="images", fixed_wh=(96, 64),
    alignment=1, source_file="/somewhere/street.onnx", sha256="0" * 64, precision="fp16")


@pytest.fixture(autouse=True)
def data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("REGIONMASK_NETWORK", raising=False)
    monkeypatch.setattr("regionmask_ros.network.cards._PACKAGED", tmp_path / "packaged")
    return tmp_path / "data/regionmask_ros/networks"


@pytest.mark.parametrize("network", [
    NETWORK, replace(NETWORK, fixed_wh=None, alignment=32),
    replace(NETWORK, tiles=b"bytes and steps", tiles_agreement=98.5),
    replace(NETWORK, tiles_reason="node 5: GlobalAveragePool")])
def test_what_was_stored_is_loaded(network, data_folder):
    card = store_network(network)
    assert card == data_folder / "street/card.json" == find_card("street") == find_network("street")
    loaded = load_card(card)
    assert {**vars(loaded), "head": None} == {**vars(network), "head": None}
    assert vars(loaded.head) == vars(network.head) and loaded.digest == network.digest


def test_a_new_import_replaces_the_old_one(data_folder):
    store_network(NETWORK)
    store_network(replace(NETWORK, model=b"another", tiles=b"quantized"))
    assert load_card(find_card("street")).model == b"another"
    assert len(list((data_folder / "street").iterdir())) == 3
    store_network(NETWORK)
    assert load_card(find_card("street")).tiles == b""
    assert len(list((data_folder / "street").iterdir())) == 2


def test_a_card_of_an_older_version_has_no_tiles():
    card = store_network(NETWORK)
    content = json.loads(card.read_text())
    del content["tiles_reason"]
    card.write_text(json.dumps(content))
    loaded = load_card(card)
    assert (loaded.tiles, loaded.tiles_reason) == (b"", "") and loaded.digest == NETWORK.digest


def test_tiles_that_were_exchanged_are_refused():
    card = store_network(replace(NETWORK, tiles=b"quantized"))
    read_card(card).tiles_file.write_bytes(b"others")
    with pytest.raises(UserError, match=r"tiles-.*not the file that was imported; import the network again"):
        load_card(card)


def test_tiles_are_part_of_the_digest():
    assert replace(NETWORK, tiles=b"quantized").digest != NETWORK.digest


def test_networks_are_listed_by_name_also_damaged_ones(data_folder):
    for name in ("b", "a", "c"):
        store_network(replace(NETWORK, name=name))
    (data_folder / "b/card.json").write_text("{}")
    (data_folder / "empty").mkdir()
    first, damaged, last = list_cards()
    assert (first.network.name, last.network.name) == ("a", "c") and first.network.model == b""
    assert "damaged card; import the network again" in str(damaged)


def test_a_removed_network_is_gone(data_folder):
    store_network(NETWORK)
    remove_card("street")
    assert find_card("street") is None and list(data_folder.iterdir()) == []
    with pytest.raises(UserError, match="'street': no imported network of this name; 'model list' shows them"):
        remove_card("street")


@pytest.mark.parametrize("name", [
    "", ".", "..", "a/b", "../a", "/a", ".a", "-a", "a b", "a\n", "ä", "x" * 65, "YOLO_KP",
])
def test_names_that_are_paths_or_taken_are_refused(name, data_folder):
    with pytest.raises(UserError, match="--name"):
        check_name(name)
    with pytest.raises(UserError):
        store_network(replace(NETWORK, name=name))
    assert find_card(name) is None and not data_folder.exists()
    with pytest.raises(UserError):
        remove_card(name)


def test_a_file_is_reached_by_a_path_even_if_a_network_has_its_name(data_folder, tmp_path, monkeypatch):
    store_network(NETWORK)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "street").write_text("a file")
    assert find_network("street") == data_folder / "street/card.json"
    assert str(find_network("./street")) == "street"
    monkeypatch.setenv("REGIONMASK_NETWORK", "street")
    assert find_network() == data_folder / "street/card.json"


def test_a_model_that_is_not_the_one_of_the_card_is_refused(data_folder):
    card = store_network(NETWORK)
    model = read_card(card).model_file
    model.write_bytes(b"a m0del")
    with pytest.raises(UserError, match="not the file that was imported; import the network again"):
        load_card(card)
    model.unlink()
    with pytest.raises(UserError, match="no such file"):
        load_card(card)


@pytest.mark.parametrize("path, value", [
    (("format",), 2), (("model",), "../../secret.onnx"), (("model",), "/etc/passwd"), (("name",), 7),
    (("name",), "a\x1b[2J"), (("tiles",), "../tiles-0123456789ab.npz"), (("tiles",), 3), (("tiles_reason",), None),
    (("tiles_agreement",), 101), (("tiles_agreement",), "99"),
    (("labels",), ["a"]), (("labels",), ["a", ""]), (("labels",), ["a", "b\n"]), (("labels",), "ab"),
    (("head", "num_classes"), -1), (("head", "num_classes"), True), (("head", "strides"), [0]),
    (("head", "strides"), [1] * 100), (("head", "outputs"), []),
    (("head", "numbers"), {"raw": "x"}), (("head", "numbers"), {"raw": 1e999}), (("head", "outputs"), [1]),
    (("input", "fixed_wh"), [96]), (("input", "fixed_wh"), [96, 1e9]), (("input", "alignment"), 0),
    (("preprocessing", "order"), "gray"), (("preprocessing", "deviation"), [0, 1, 1]), (("precision",), "fp4"),
])
def test_a_card_with_impossible_content_is_refused(path, value):
    card = store_network(NETWORK)
    content = json.loads(card.read_text())
    place = content
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    card.write_text(json.dumps(content))
    with pytest.raises(UserError) as caught:
        read_card(card)
    assert "import the network again" in str(caught.value)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_card_is_read_or_refused(tmp_path, data):
    card = write_card(NETWORK, tmp_path / "one")
    content = bytearray(card.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    card.write_bytes(content)
    try:
        read_card(card)
    except UserError as error:
        assert "\n" not in str(error)


STORE = """
import sys, time
from pathlib import Path
from regionmask_ros.network import cards
from regionmask_ros.network.dense import DenseNetwork, HeadSpec, Preprocessing
write = cards.write_whole
def write_slowly(target, content):
    if target.name == cards.CARD_NAME:
        print("model written", flush=True)
        time.sleep(600)
    write(target, content)
cards.write_whole = write_slowly
head = HeadSpec("yolox", 2, ("out",))
cards.store_network(DenseNetwork("street", b"a new model", head, ("a", "b"), Preprocessing(), "images"))
"""


def test_an_interrupt_while_a_network_is_replaced_leaves_the_old_one(data_folder):
    store_network(NETWORK)
    process = subprocess.Popen([sys.executable, "-c", STORE], cwd=REPOSITORY, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL)
    assert process.stdout.readline() == b"model written\n"
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert load_card(find_card("street")).model == NETWORK.model


def test_without_a_home_folder_nothing_is_found_or_stored(monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", "")
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    assert networks_folder() is None and find_card("street") is None and list_cards() == []
    with pytest.raises(UserError, match="no data folder"):
        store_network(NETWORK)
