"""Imported networks: each is a folder in the user's data folder, with an ONNX model and a card that describes it.

The package brings networks of the same form, without an ONNX model; one of the user that has the same name comes first.
Beside the model there may be the quantized network for the tile engine. The card names both files by their digests. A
new import writes them first and then replaces the card, in one step.

A sigma-delta network that ``distill`` has made is a folder of this kind, too, with one file, ``chain.npz``, in place of
the card: the file has all that is known of it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import InvalidFile, UserError, to_one_line
from ..files.json_values import require_list, require_text, require_whole
from ..files.outputs import encode_json, write_whole
from ..files.safe_read import open_regular, read_limited
from ..user_folders import data_folder
from .dense import DenseNetwork, HeadSpec, Preprocessing
from .labels import check_names

CARD_NAME = "card.json"
CHAIN_NAME = "chain.npz"
FACTS_NAME = "training.json"
"""What ``distill`` stores beside a card."""

FORMAT = 1
_MAX_CARD_BYTES = 4 << 20
_MAX_SIDE = 16_384
_MAX_OUTPUTS, _MAX_LEVELS = 64, 8
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
_MODEL_NAME = re.compile(r"model-[0-9a-f]{12}\.onnx")
_TILES_NAME = re.compile(r"tiles-[0-9a-f]{12}\.npz")
_PACKAGED = Path(__file__).parent / "packaged"
_RESERVED = frozenset(("yolo_kp", "auto", "coco"))
_PRECISIONS = ("fp32", "fp16", "int8")


@dataclass(frozen=True)
class Card:
    """An imported network without the content of its files.

    Attributes:
        network: All but the model and the tiles, which are empty.
        file: The card.
        model_file: The ONNX model; None if there is none, and then there are tiles.
        model_sha256: Digest of the model.
        tiles_file: The quantized network for the tile engine; None if there is none.
        tiles_sha256: Digest of it.
    """

    network: DenseNetwork
    file: Path
    model_file: Path | None
    model_sha256: str
    tiles_file: Path | None = None
    tiles_sha256: str = ""

    @property
    def is_packaged(self) -> bool:
        """Whether it is part of the package."""
        return _is_packaged(self.file)


def networks_folder() -> Path | None:
    """Where imported networks are; None for a user without a home folder."""
    folder = data_folder()
    return folder / "networks" if folder else None


def check_name(name: str) -> str:
    """Checks the name of an imported network.

    Args:
        name: From the user, or from the name of a file.

    Returns:
        The same name.

    Raises:
        UserError: It cannot be used as the name of a folder, or is taken.
    """
    if not _NAME.fullmatch(name):
        raise UserError(to_one_line(f"name {name!r}: 1 to 64 letters, digits, '.', '_' and '-' are possible, and no "
                                    "'.' or '-' at the start: give another one with --name"))
    if name.lower() in _RESERVED:
        raise UserError(f"name {name!r} has another meaning: give another one with --name")
    return name


def find_card(name: str) -> Path | None:
    """The card of an imported network, or of one of the package; None if there is none of this name."""
    return _find(name, CARD_NAME)


def find_stored(name: str) -> Path | None:
    """The card, or the file of a sigma-delta network, of this name; None if there is none."""
    return _find(name, CARD_NAME, CHAIN_NAME)


def _find(name: str, *files: str) -> Path | None:
    if not _NAME.fullmatch(name):
        return None
    return next((path for folder in _folders() for file in files if (path := folder / name / file).is_file()), None)


def is_imported(name: str) -> bool:
    """Whether the user has a network of this name, which a new one would replace."""
    stored = find_stored(name)
    return stored is not None and not _is_packaged(stored)


def _is_packaged(card: Path) -> bool:
    return _PACKAGED in card.parents


def _folders() -> tuple[Path, ...]:
    folder = networks_folder()
    return (_PACKAGED,) if folder is None else (folder, _PACKAGED)


def store_chain(name: str, content: bytes) -> Path:
    """Stores a sigma-delta network under a name. An older network of this name is replaced.

    Args:
        name: The name.
        content: Of ``formats.chain_file.pack_chain``.

    Returns:
        The network's file.

    Raises:
        UserError: The name is impossible, or the file cannot be written.
    """
    file = _own_folder(name) / CHAIN_NAME
    write_whole(file, content)
    for old in (file.with_name(CARD_NAME), *file.parent.glob("model-*.onnx"), *file.parent.glob("tiles-*.npz")):
        _remove_old(old)
    return file


def _remove_old(file: Path) -> None:
    """Removes what an older network of the name has left, which would be opened in place of the new one."""
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{file}: cannot be removed ({to_one_line(error.strerror or str(error))}): remove it, or "
                        "choose another name") from error


def store_network(network: DenseNetwork) -> Path:
    """Stores a network under its name. An older one of this name is replaced in one step.

    Args:
        network: The network.

    Returns:
        The card's file.

    Raises:
        UserError: The name is impossible, or the files cannot be written.
    """
    card = write_card(network, _own_folder(network.name))
    _remove_old(card.with_name(CHAIN_NAME))
    return card


def _own_folder(name: str) -> Path:
    """The user's folder for a network of this name."""
    folder = networks_folder()
    if folder is None:
        raise UserError("this user has no data folder: set HOME")
    return folder / check_name(name)


def write_card(network: DenseNetwork, place: Path) -> Path:
    """Writes a network's files and then its card into a folder, and removes the files of an older card.

    Args:
        network: The network.
        place: The folder.

    Returns:
        The card's file.

    Raises:
        UserError: The files cannot be written.
    """
    content = {name: (f"{name}-{_digest(data)[:12]}.{ending}", data)
               for name, ending, data in (("model", "onnx", network.model), ("tiles", "npz", network.tiles)) if data}
    for file, data in content.values():
        write_whole(place / file, data)
    card = place / CARD_NAME
    facts = _as_json(network)
    for name, (file, data) in content.items():
        facts |= {name: file, f"{name}_sha256": _digest(data)}
    write_whole(card, encode_json(facts))
    written = {file for file, _ in content.values()}
    for old in (*place.glob("model-*.onnx"), *place.glob("tiles-*.npz")):
        if old.name not in written:
            with contextlib.suppress(OSError):
                old.unlink()
    return card


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def read_card(path: str | os.PathLike[str]) -> Card:
    """Reads a card.

    Args:
        path: The card.

    Returns:
        Its content.

    Raises:
        UserError: It cannot be used.
    """
    try:
        with open_regular(path) as file:
            return _parse_card(read_limited(file), Path(path))
    except InvalidFile as error:
        raise UserError(to_one_line(f"{path}: {error}; import the network again")) from error


def load_card(path: str | os.PathLike[str]) -> DenseNetwork:
    """Loads an imported network.

    Args:
        path: Its card.

    Returns:
        The network.

    Raises:
        UserError: The card or a file cannot be used, or a file is not the one of the card.
    """
    card = read_card(path)
    model, tiles = (b"" if file is None else _read_content(file, digest) for file, digest in (
        (card.model_file, card.model_sha256), (card.tiles_file, card.tiles_sha256)))
    return replace(card.network, model=model, tiles=tiles)


def _read_content(path: Path, sha256: str) -> bytes:
    try:
        with open_regular(path) as file:
            content = read_limited(file)
        if _digest(content) != sha256:
            raise InvalidFile("not the file that was imported")
    except InvalidFile as error:
        raise UserError(to_one_line(f"{path}: {error}; import the network again")) from error
    return content


def list_cards() -> list[Card | UserError]:
    """All networks of the package and then all imported ones, by name; the error of each one that cannot be read."""
    found: list[Card | UserError] = []
    for path in (path for folder in reversed(_folders()) for path in sorted(folder.glob(f"*/{CARD_NAME}"))):
        try:
            found.append(read_card(path))
        except UserError as error:
            found.append(error)
    return found


def list_chains() -> list[Path]:
    """The files of all sigma-delta networks that have a name: those of the package, then those of the user."""
    return [path for folder in reversed(_folders()) for path in sorted(folder.glob(f"*/{CHAIN_NAME}"))
            if not path.with_name(CARD_NAME).exists()]


def remove_card(name: str) -> None:
    """Removes an imported network.

    Args:
        name: Its name.

    Raises:
        UserError: There is none of this name, or it cannot be removed.
    """
    card = find_stored(name)
    if card is None:
        raise UserError(to_one_line(f"{name!r}: no imported network of this name; 'model list' shows them"))
    if _is_packaged(card):
        raise UserError(f"{name}: part of the package, which is not removed")
    try:
        card.unlink()
        shutil.rmtree(card.parent)
    except OSError as error:
        raise UserError(to_one_line(f"{card.parent}: cannot be removed: {error.strerror or error}")) from error


def _as_json(network: DenseNetwork) -> dict[str, Any]:
    """All but the names and digests of the files."""
    head, preprocessing = network.head, network.preprocessing
    return {
        "format": FORMAT, "name": network.name, "tiles_reason": network.tiles_reason,
        "tiles_agreement": network.tiles_agreement,
        "source": network.source_file, "source_sha256": network.sha256, "precision": network.precision,
        "input": {"name": network.input_name, "fixed_wh": network.fixed_wh, "alignment": network.alignment},
        "preprocessing": {"order": preprocessing.order, "mean": preprocessing.mean,
                          "deviation": preprocessing.deviation},
        "head": {"family": head.family, "num_classes": head.num_classes, "outputs": head.outputs,
                 "strides": head.strides, "numbers": dict(head.numbers)},
        "labels": network.labels,
    }


def _parse_card(data: bytes, path: Path) -> Card:
    if len(data) > _MAX_CARD_BYTES:
        raise InvalidFile("too large for a card")
    try:
        content = json.loads(data)
        if content["format"] != FORMAT:
            raise InvalidFile(f"format {content['format']!r} of another version")
        head, source, preprocessing = content["head"], content["input"], content["preprocessing"]
        network = DenseNetwork(
            name=_text(content["name"]),
            model=b"",
            head=HeadSpec(
                _text(head["family"]), _number(head["num_classes"], 10_000),
                tuple(_text(name) for name in require_list(head["outputs"], _MAX_OUTPUTS, 1)),
                tuple(_number(stride, 1024) for stride in require_list(head["strides"], _MAX_LEVELS)),
                _numbers(head["numbers"])),
            labels=tuple(_text(name) for name in require_list(content["labels"], 10_000)),
            preprocessing=Preprocessing(
                _text(preprocessing["order"]), _three(preprocessing["mean"]), _three(preprocessing["deviation"])),
            input_name=_text(source["name"]),
            fixed_wh=None if source["fixed_wh"] is None else _pair(source["fixed_wh"]),
            alignment=_number(source["alignment"], 1024),
            source_file=_text(content["source"]),
            sha256=_text(content["source_sha256"]),
            precision=_text(content["precision"]),
            # Cards of older versions do not have these two.
            tiles_reason=_text(content.get("tiles_reason", "")),
            tiles_agreement=_share(content.get("tiles_agreement")),
        )
        model_file, model_sha256 = _text(content.get("model", "")), _text(content.get("model_sha256", ""))
        tiles_file, tiles_sha256 = _text(content.get("tiles", "")), _text(content.get("tiles_sha256", ""))
    except (KeyError, TypeError, ValueError, RecursionError, OverflowError) as error:
        raise InvalidFile("damaged card") from error
    reason = check_names(network.labels)
    if (reason or not (model_file or tiles_file) or len(network.labels) != network.head.num_classes
            or network.precision not in _PRECISIONS or not _NAME.fullmatch(network.name)
            or any(name and not pattern.fullmatch(name)
                   for name, pattern in ((model_file, _MODEL_NAME), (tiles_file, _TILES_NAME)))):
        raise InvalidFile("damaged card")
    return Card(network, path, path.parent / model_file if model_file else None, model_sha256,
                path.parent / tiles_file if tiles_file else None, tiles_sha256)


def _share(value: Any) -> float | None:
    """A number from 0 to 100, or None."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 100:
        raise TypeError("a number from 0 to 100 is needed")
    return float(value)


def _text(value: Any) -> str:
    return require_text(value, 4096)


def _number(value: Any, highest: int) -> int:
    return require_whole(value, 1, highest)


def _pair(value: Any) -> tuple[int, int]:
    width, height = require_list(value, 2)
    return _number(width, _MAX_SIDE), _number(height, _MAX_SIDE)


def _three(value: Any) -> tuple[float, float, float]:
    first, second, third = (_finite(number) for number in require_list(value, 3))
    return first, second, third


def _finite(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise ValueError("a number is needed")
    return float(value)


def _numbers(value: Any) -> Mapping[str, float]:
    if not isinstance(value, dict):
        raise TypeError("numbers by name are needed")
    return {_text(name): _finite(number) for name, number in value.items()}
