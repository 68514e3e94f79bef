"""Files of sigma-delta networks that this package makes: read as they were written, or refused in one line."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest

from regionmask_ros.errors import InvalidFile, UserError
from regionmask_ros.importing.opening import open_network
from regionmask_ros.network.cards import find_stored, list_chains, remove_card, store_chain
from regionmask_ros.network.files import install_network, load_network
from regionmask_ros.network.formats.chain_file import pack_chain, parse_chain
from regionmask_ros.network.formats.integers import DESCRIPTION


def set_groups(content: bytes, groups: int) -> bytes:
    """The archive with that many groups in the second layer."""
    first, second, *others = json.loads(np.load(io.BytesIO(content))[DESCRIPTION].tobytes())["layers"]
    return describe(content, layers=[first, {**second, "groups": groups}, *others])


@pytest.fixture
def biased(exponents_network):
    """A small network in which everything is used that a file has."""
    return exponents_network


def change(content: bytes, **arrays) -> bytes:
    """The archive with some arrays replaced, or left out where they are None."""
    found = {**np.load(io.BytesIO(content)), **arrays}
    changed = io.BytesIO()
    np.savez(changed, **{name: array for name, array in found.items() if array is not None})
    return changed.getvalue()


def describe(content: bytes, **facts) -> bytes:
    plain = json.loads(np.load(io.BytesIO(content))[DESCRIPTION].tobytes())
    text = np.frombuffer(json.dumps({**plain, **facts}).encode(), np.uint8)
    return change(content, **{DESCRIPTION: text})


@pytest.mark.parametrize("fixture", ["biased", "groups_network"])
def test_a_network_is_read_as_it_was_written(fixture, tmp_path, request):
    written = request.getfixturevalue(fixture)
    file = tmp_path / "mine.npz"
    file.write_bytes(pack_chain(written, "a test"))
    found = load_network(file)
    assert found.digest == written.digest and found.source_file == str(file)
    assert (found.name, found.head, found.labels) == (written.name, written.head, written.labels)
    assert [layer.groups for layer in found.layers] == [layer.groups for layer in written.layers]


def test_a_stored_network_is_opened_and_removed_by_its_name(biased, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    file = store_chain("mine", pack_chain(biased))
    assert find_stored("mine") == file and file in list_chains()
    assert open_network("mine").digest == biased.digest
    monkeypatch.setenv("REGIONMASK_NETWORK", "mine")
    assert open_network().digest == biased.digest
    remove_card("mine")
    assert find_stored("mine") is None


@pytest.mark.parametrize("spoil, message", [
    (lambda data: data[:200], "damaged zip"),
    (lambda data: change(data, **{DESCRIPTION: None}), "no array description"),
    (lambda data: change(data, weight1=None), "no array weight1"),
    (lambda data: change(data, weight1=np.zeros((8, 8, 3, 3), np.int64)), "expected an int32 array"),
    (lambda data: change(data, weight1=np.zeros((8, 9, 3, 3), np.int32)), "do not fit together"),
    (lambda data: change(data, weight1=np.full((8, 8, 3, 3), 513, np.int32)), "weight1 has values beyond 512"),
    (lambda data: change(data, bias0=np.full(8, 1 << 20, np.int32)), "bias0 has values beyond 32767"),
    (lambda data: describe(data, format=2), "another version"),
    (lambda data: set_groups(data, 0), "whole number"),
    (lambda data: set_groups(data, 3), "cannot be divided into 3 groups"),
    (lambda data: set_groups(data, 4), "do not fit together"),
    (lambda data: set_groups(data, 1 << 20), "whole number"),
    (lambda data: describe(data, labels=["one"]), "a head of 12 channels"),
    (lambda data: describe(data, labels=["a\x1b", "b"]), "text is needed"),
    (lambda data: describe(data, layers=3), "list is needed"),
    (lambda data: describe(data, encoder_threshold=-1), "whole number"),
    (lambda data: describe(data, head={"anchors": [[0.3, 0.3], [0.2, 0.5]], "clamp_max": 0.0, "bias": [1]}), "biases"),
])
def test_what_is_no_network_is_refused_in_one_line(biased, tmp_path, spoil, message):
    content = spoil(pack_chain(biased))
    with pytest.raises(InvalidFile, match=message):
        parse_chain(content, "mine.npz")
    (tmp_path / "mine.npz").write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        load_network(tmp_path / "mine.npz")
    assert "\n" not in str(caught.value)


def test_such_a_file_is_not_installed_as_yolo_kp(biased, tmp_path):
    (tmp_path / "mine.npz").write_bytes(pack_chain(biased))
    with pytest.raises(UserError, match="needs no import"):
        install_network(tmp_path / "mine.npz", tmp_path / "installed.pt")
    assert not (tmp_path / "installed.pt").exists()


def test_the_digest_knows_the_head(biased):
    assert biased.head is not None
    other = replace(biased, head=replace(biased.head, clamp_max=biased.head.clamp_max + 0.5))
    assert other.digest != biased.digest
