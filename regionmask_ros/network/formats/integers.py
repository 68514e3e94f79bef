"""What files of sigma-delta networks have in common: an archive of integers, and a JSON text that describes them."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np

from ...errors import TOO_LARGE, InvalidFile
from ...files.json_values import require_list, require_text
from ...files.safe_read import MAX_BYTES, open_zip, read_array
from ..chain import ConvSpec
from ..labels import check_names

FORMAT = 1
FILE_KIND = "a sigma-delta network"
DESCRIPTION = "description"
MAX_TEXT, MAX_DESCRIPTION = 4096, 1 << 20
MAX_SIDE = 1 << 16
MAX_LABELS = 10_000
LARGEST_WEIGHT = 512


class IntegerArchive:
    """An archive that was opened as untrusted data.

    Args:
        data: The file's content.

    Attributes:
        facts: The description.

    Raises:
        InvalidFile: The content is damaged, or something else.
    """

    def __init__(self, data: bytes) -> None:
        self._archive = open_zip(io.BytesIO(data))
        if sum(member.file_size for member in self._archive.infolist()) > MAX_BYTES:
            raise InvalidFile(f"it claims to hold more than {MAX_BYTES >> 20} MB", TOO_LARGE)
        text = read_array(self._archive, DESCRIPTION, "u", FILE_KIND, MAX_DESCRIPTION)
        try:
            self.facts: Any = json.loads(text.tobytes())
            if self.facts["format"] != FORMAT:
                raise InvalidFile(f"format {self.facts['format']!r} of another version")
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise InvalidFile(describe_damage(error)) from error

    def read(self, name: str, largest: int = 1 << 31) -> np.ndarray:
        """Reads an array; another type than int32 is refused by the network.

        Args:
            name: Of the array.
            largest: Largest magnitude of its values.

        Returns:
            The integers.

        Raises:
            InvalidFile: It is not there, or beyond its limits.
        """
        values: np.ndarray = read_array(self._archive, name, "i", FILE_KIND, MAX_SIDE, 4)
        if values.size and not -largest <= int(values.min()) <= int(values.max()) <= largest:
            raise InvalidFile(f"{name} has values beyond {largest}, which no engine computes")
        return values


def pack(arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> bytes:
    """Makes the content of a file.

    Args:
        arrays: Integers by name.
        facts: The description, in JSON's types.

    Returns:
        An archive.
    """
    content, text = io.BytesIO(), np.frombuffer(json.dumps({"format": FORMAT, **facts}).encode(), np.uint8)
    named: dict[str, Any] = {**arrays, DESCRIPTION: text}
    np.savez_compressed(content, **named)
    return content.getvalue()


def parse_text(value: Any) -> str:
    """A printable text that is not empty; raises TypeError for anything else."""
    text = require_text(value, MAX_TEXT)
    if not text or not text.isprintable():
        raise TypeError("a text is needed")
    return text


def parse_labels(value: Any) -> tuple[str, ...]:
    """Names of classes; raises TypeError for anything else, and InvalidFile for names that are none."""
    labels = tuple(map(parse_text, require_list(value, MAX_LABELS)))
    reason = check_names(labels)
    if reason:
        raise InvalidFile(reason)
    return labels


def store_layer(arrays: dict[str, np.ndarray], number: int, layer: ConvSpec) -> dict[str, Any]:
    """Adds the arrays of a layer; returns its numbers, and its name."""
    arrays[f"weight{number}"] = layer.weight
    if layer.bias is not None:
        arrays[f"bias{number}"] = layer.bias
    return {"name": layer.name, "stride": layer.stride, "padding": layer.padding, "threshold": layer.threshold,
            "exponent": layer.exponent, "groups": layer.groups}


def describe_damage(error: Exception) -> str:
    """The reason for what a description lacks."""
    return f"damaged {FILE_KIND.removeprefix('a ')}: {error}"
