"""Sigma-delta networks that this package makes, in files: an ``.npz`` archive of integers, read as untrusted data.

The array ``description`` is a JSON text: layers, head, names and thresholds. ``input_table``, ``weight0``, ``bias0``
and so on are int32 arrays. A head has no bias array: what its boxes add is in the description.
"""

from __future__ import annotations

import hashlib
import io
import json
from typing import Any

import numpy as np

from ...core.arithmetic import LARGEST_EXP, USUAL_EXP
from ...errors import TOO_LARGE, InvalidFile
from ...files.json_values import require_list, require_text, require_whole
from ...files.safe_read import MAX_BYTES, open_zip, read_array
from ..chain import ConvSpec, Network, YoloHead
from ..labels import check_names
from .lava_dl import MAX_THRESHOLD

FORMAT = 1
FILE_KIND = "a sigma-delta network"
DESCRIPTION = "description"
MAX_LAYERS, MAX_TEXT, MAX_DESCRIPTION = 100, 4096, 1 << 20
_MAX_STRIDE = 64
_LARGEST_WEIGHT = 512
_MAX_SIDE = 1 << 16


def pack_chain(network: Network, about: str = "") -> bytes:
    """Makes the content of a file.

    Args:
        network: A network with boxes.
        about: Where it comes from, for people.

    Returns:
        An archive.

    Raises:
        ValueError: The network has no boxes.
    """
    head = network.head
    if head is None:
        raise ValueError("a network without boxes")
    arrays: dict[str, Any] = {"input_table": network.input_table}
    for number, layer in enumerate(network.layers):
        arrays[f"weight{number}"] = layer.weight
        if layer.bias is not None:
            arrays[f"bias{number}"] = layer.bias
    description = {
        "format": FORMAT, "name": network.name, "about": about, "labels": network.labels,
        "encoder_threshold": network.encoder_threshold,
        "head": {"anchors": head.anchors, "clamp_max": head.clamp_max, "bias": head.bias},
        "layers": [{"name": layer.name, "stride": layer.stride, "padding": layer.padding, "threshold": layer.threshold,
                    "exponent": layer.exponent, "groups": layer.groups} for layer in network.layers],
    }
    content = io.BytesIO()
    arrays[DESCRIPTION] = np.frombuffer(json.dumps(description).encode(), np.uint8)
    np.savez_compressed(content, **arrays)
    return content.getvalue()


def parse_chain(data: bytes, source_file: str) -> Network:
    """Reads a network.

    Args:
        data: The file's content.
        source_file: The file's name, for ``Network.source_file``.

    Returns:
        The network.

    Raises:
        InvalidFile: The content is damaged, or something else.
    """
    archive = open_zip(io.BytesIO(data))
    if sum(member.file_size for member in archive.infolist()) > MAX_BYTES:
        raise InvalidFile(f"it claims to hold more than {MAX_BYTES >> 20} MB", TOO_LARGE)
    text = read_array(archive, DESCRIPTION, "u", FILE_KIND, MAX_DESCRIPTION)

    def read(name: str, largest: int = 1 << 31) -> np.ndarray:
        # Another type than int32 is refused by the network.
        values = read_array(archive, name, "i", FILE_KIND, _MAX_SIDE, 4)
        if values.size and not -largest <= int(values.min()) <= int(values.max()) <= largest:
            raise InvalidFile(f"{name} has values beyond {largest}, which no engine computes")
        return values

    try:
        plain = json.loads(text.tobytes())
        if plain["format"] != FORMAT:
            raise InvalidFile(f"format {plain['format']!r} of another version")
        facts = require_list(plain["layers"], MAX_LAYERS)
        layers = tuple(
            ConvSpec(_text(fact["name"]), read(f"weight{number}", _LARGEST_WEIGHT),
                     read(f"bias{number}", MAX_THRESHOLD - 1) if number < len(facts) - 1 else None,
                     require_whole(fact["stride"], 0, _MAX_STRIDE),
                     require_whole(fact["padding"], 0, _MAX_STRIDE),
                     require_whole(fact["threshold"], 0, MAX_THRESHOLD - 1),
                     require_whole(fact.get("exponent", USUAL_EXP), 0, LARGEST_EXP),
                     require_whole(fact.get("groups", 1), 1, _MAX_SIDE))
            for number, fact in enumerate(facts))
        labels = tuple(map(_text, require_list(plain["labels"], 10_000)))
        reason = check_names(labels)
        if reason:
            raise InvalidFile(reason)
        if not layers:
            raise InvalidFile("no layers")
        head = plain["head"]
        anchors = tuple((float(wide), float(high)) for wide, high in require_list(head["anchors"], 64))
        layout = YoloHead(anchors, len(labels), float(head["clamp_max"]), tuple(require_list(head["bias"], _MAX_SIDE)),
                          layers[-1].exponent)
        return Network(_text(plain["name"]), layers, layout, labels, read("input_table"),
                       require_whole(plain["encoder_threshold"], 0, MAX_THRESHOLD - 1), source_file,
                       hashlib.sha256(data).hexdigest())
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, OverflowError) as error:
        raise InvalidFile(f"damaged {FILE_KIND.removeprefix('a ')}: {error}") from error


def _text(value: Any) -> str:
    text = require_text(value, MAX_TEXT)
    if not text or not text.isprintable():
        raise TypeError("a text is needed")
    return text
