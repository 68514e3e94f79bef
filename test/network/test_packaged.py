"""Networks of the package: found by name, and not removed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from regionmask_ros.errors import UserError
from regionmask_ros.network import cards
from regionmask_ros.network.dense import DenseNetwork, HeadSpec, Preprocessing

NETWORK = DenseNetwork("avenue", b"", HeadSpec("yolox", 2, ("out",), (8, 16, 32), {"raw": 1.0}), ("person", "car"),
                       Preprocessing(), "images", precision="int8", tiles=b"quantized", tiles_agreement=99.0)


@pytest.fixture
def packaged(tmp_path, monkeypatch):
    """The card of a network in a folder that stands for the package's."""
    monkeypatch.setattr(cards, "_PACKAGED", tmp_path / "packaged")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return cards.write_card(NETWORK, tmp_path / "packaged/avenue")


def refused(call) -> str:
    with pytest.raises(UserError) as error:
        call()
    assert "\n" not in str(error.value)
    return str(error.value)


def test_it_is_found_by_name_until_the_user_has_one_of_that_name(packaged):
    assert cards.find_card("avenue") == packaged and cards.read_card(packaged).is_packaged
    loaded = cards.load_card(packaged)
    assert (loaded.model, loaded.tiles, loaded.labels) == (b"", b"quantized", ("person", "car"))
    own = cards.store_network(replace(NETWORK, model=b"model"))
    assert cards.find_card("avenue") == own and not cards.read_card(own).is_packaged
    assert [card.file for card in cards.list_cards()] == [packaged, own]
    cards.remove_card("avenue")
    assert cards.find_card("avenue") == packaged
    assert refused(lambda: cards.remove_card("avenue")) == "avenue: part of the package, which is not removed"


def test_a_card_without_any_network_is_refused(packaged):
    cards.write_card(replace(NETWORK, tiles=b""), packaged.parent)
    assert "damaged card" in refused(lambda: cards.load_card(packaged))
