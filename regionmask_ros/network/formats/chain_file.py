"""Sigma-delta networks that this package makes, in files: an ``.npz`` archive of integers, read as untrusted data.

The array ``description`` is a JSON text: layers, head, names and thresholds. ``input_table``, ``weight0``, ``bias0``
and so on are int32 arrays. A head has no bias array: what its boxes add is in the description. A description with
``nodes`` in place of ``layers`` is that of a branched network, see ``branched_file``.
"""

from __future__ import annotations

import hashlib

from ...core.arithmetic import LARGEST_EXP, USUAL_EXP
from ...errors import InvalidFile
from ...files.json_values import require_list, require_whole
from ..chain import ConvSpec, Network, YoloHead
from .branched_file import read_branched
from .integers import (
    LARGEST_WEIGHT,
    MAX_SIDE,
    IntegerArchive,
    describe_damage,
    pack,
    parse_labels,
    parse_text,
    store_layer,
)
from .lava_dl import MAX_THRESHOLD

MAX_LAYERS = 100
_MAX_STRIDE = 64


def pack_chain(network: Network, about: str = "") -> bytes:
    """Makes the content of a file.

    Args:
        network: A network with boxes.
        about: Where it comes from, for people.

    Returns:
        An archive.

    Raises:
        ValueError: The network has no boxes, or is no chain.
    """
    head = network.head
    if not isinstance(head, YoloHead):
        raise ValueError("a network without boxes")
    arrays = {"input_table": network.input_table}
    layers = [store_layer(arrays, number, layer) for number, layer in enumerate(network.layers)]
    return pack(arrays, {
        "name": network.name, "about": about, "labels": network.labels, "encoder_threshold": network.encoder_threshold,
        "head": {"anchors": head.anchors, "clamp_max": head.clamp_max, "bias": head.bias},
        "layers": layers,
    })


def parse_chain(data: bytes, source_file: str) -> Network:
    """Reads a network, a chain or one with branches.

    Args:
        data: The file's content.
        source_file: The file's name, for ``Network.source_file``.

    Returns:
        The network.

    Raises:
        InvalidFile: The content is damaged, or something else.
    """
    archive = IntegerArchive(data)
    plain, read = archive.facts, archive.read
    try:
        if "nodes" in plain:
            return read_branched(archive, source_file, hashlib.sha256(data).hexdigest())
        facts = require_list(plain["layers"], MAX_LAYERS)
        layers = tuple(
            ConvSpec(parse_text(fact["name"]), read(f"weight{number}", LARGEST_WEIGHT),
                     read(f"bias{number}", MAX_THRESHOLD - 1) if number < len(facts) - 1 else None,
                     require_whole(fact["stride"], 0, _MAX_STRIDE),
                     require_whole(fact["padding"], 0, _MAX_STRIDE),
                     require_whole(fact["threshold"], 0, MAX_THRESHOLD - 1),
                     require_whole(fact.get("exponent", USUAL_EXP), 0, LARGEST_EXP),
                     require_whole(fact.get("groups", 1), 1, MAX_SIDE))
            for number, fact in enumerate(facts))
        labels = parse_labels(plain["labels"])
        if not layers:
            raise InvalidFile("no layers")
        head = plain["head"]
        anchors = tuple((float(wide), float(high)) for wide, high in require_list(head["anchors"], 64))
        layout = YoloHead(anchors, len(labels), float(head["clamp_max"]), tuple(require_list(head["bias"], MAX_SIDE)),
                          layers[-1].exponent)
        return Network(parse_text(plain["name"]), layers, layout, labels, read("input_table"),
                       require_whole(plain["encoder_threshold"], 0, MAX_THRESHOLD - 1), source_file,
                       hashlib.sha256(data).hexdigest())
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, OverflowError) as error:
        raise InvalidFile(describe_damage(error)) from error
