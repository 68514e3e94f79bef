"""What is written while its program is killed, and how it is read again."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bootstrap import user_cache
from regionmask_ros.files.output_folder import write_below
from regionmask_ros.files.outputs import Outputs
from regionmask_ros.files.temporary import temporary_folder, write_all_through
from regionmask_ros.mask.static import encode_static_mask, read_static_mask
from regionmask_ros.network.cards import CARD_NAME, load_card, write_card
from regionmask_ros.network.dense import DenseNetwork, HeadSpec, Preprocessing

_LINES = 20_000
_MODEL_BYTES = 300_000
_REGIONS = (40, 60)
_BAG_TOPIC = "/diagnostics"
_MESSAGES = 50


@dataclass(frozen=True)
class Writer:
    """One kind of output.

    Attributes:
        write: Writes it into a folder; the number decides the content.
        read: Reads it from the folder and returns the number. Raises when it is neither old nor new.
    """

    write: Callable[[Path, int], None]
    read: Callable[[Path], int]


def _write_mask(folder: Path, number: int) -> None:
    heat = np.full(_REGIONS, float(1 + number))
    write_below(folder, ("mask.npz",), encode_static_mask(_pattern(number), 16, heat))


def _pattern(number: int) -> np.ndarray:
    """A mask that holds a number: bool [rows, cols]."""
    bits = np.unpackbits(np.array([number], ">u4").view(np.uint8)).astype(bool)
    return np.resize(bits, _REGIONS)


def _read_mask(folder: Path) -> int:
    found = read_static_mask(str(folder / "mask.npz")).attended
    number = int(np.packbits(found.ravel()[:32]).view(">u4")[0])
    assert np.array_equal(found, _pattern(number))
    return number


def _write_tables(folder: Path, number: int) -> None:
    with Outputs() as outputs:
        Path(outputs.file(str(folder / "detections.csv"))).write_text(f"{number}\n" * _LINES)
        Path(outputs.file(str(folder / "summary.json"))).write_text(json.dumps([number] * _LINES))
        outputs.commit()


def _read_tables(folder: Path) -> int:
    lines = (folder / "detections.csv").read_text().splitlines()
    numbers = json.loads((folder / "summary.json").read_text())
    assert len(lines) == len(numbers) == _LINES and len(set(lines)) == len(set(numbers)) == 1
    # Each file is old or new by itself.
    assert abs(int(lines[0]) - numbers[0]) <= 1
    return int(lines[0])


def _write_network(folder: Path, number: int) -> None:
    model = str(number).encode().ljust(16) * (_MODEL_BYTES // 16)
    head = HeadSpec("yolox", 1, ("out",), (8, 16, 32))
    write_card(DenseNetwork("small", model, head, ("thing",), Preprocessing(), "images"), folder / "small")


def _read_network(folder: Path) -> int:
    network = load_card(folder / "small" / CARD_NAME)
    return int(network.model[:16])


def _write_bag(folder: Path, number: int) -> None:
    from diagnostic_msgs.msg import DiagnosticArray

    from regionmask_ros.ros.recorder import BagWriter, RecordedTopic

    # A recording replaces nothing: its folder has a name that is new.
    target = folder / f"bag{number}"
    with temporary_folder(target) as unfinished:
        with closing(BagWriter(unfinished / target.name, [RecordedTopic(_BAG_TOPIC, DiagnosticArray)])) as bag:
            for index in range(_MESSAGES):
                bag.write(_BAG_TOPIC, bytes(200), index)
        write_all_through(unfinished / target.name)
        os.rename(unfinished / target.name, target)


def _read_bags(folder: Path) -> int:
    from rosbags.highlevel import AnyReader

    found = [path for path in folder.iterdir() if not path.name.startswith(".")]
    for path in found:
        with AnyReader([path]) as reader:
            assert sum(1 for _ in reader.messages()) == _MESSAGES
    return len(found)


def _write_copy(folder: Path, number: int) -> None:
    source = folder.parent / "source"
    source.write_bytes(str(number).encode().ljust(16) * (_MODEL_BYTES // 16))
    user_cache.copy_atomically(source, folder / "cached")


def _read_copy(folder: Path) -> int:
    content = (folder / "cached").read_bytes()
    assert content == content[:16] * (_MODEL_BYTES // 16)
    return int(content[:16])


WRITERS: Mapping[str, Writer] = {
    "masks": Writer(_write_mask, _read_mask),
    "csv and json": Writer(_write_tables, _read_tables),
    "imported networks": Writer(_write_network, _read_network),
    "bags": Writer(_write_bag, _read_bags),
    "cache of the set-up": Writer(_write_copy, _read_copy),
}
