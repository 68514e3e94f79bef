"""Opens any network by name or file, as all commands and the node do."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from ..backends import LAVA_BACKENDS
from ..core.options import Value
from ..detection.heads.finding import check_head
from ..errors import UserError, to_one_line
from ..network.branched import LevelsHead
from ..network.cards import CARD_NAME, load_card
from ..network.chain import Network
from ..network.dense import AnyNetwork, DenseNetwork
from ..network.files import ENVIRONMENT_KEY, find_network, load_network
from ..network.names import DEFAULT, INSTALLED
from ..network.onnx.reading import looks_like_onnx
from ..tiles.compiled import list_kernel_sets


def name_network(values: Mapping[str, Value], needs_events: bool = False) -> str:
    """Names the network that runs.

    Args:
        values: Of the options.
        needs_events: Whether only a sigma-delta network will do, whatever the options say.

    Returns:
        What the user has named, for ``open_network``; else ``street``, or YOLO-KP where ``street`` cannot run: for the
        backends of Lava, with options of sigma-delta networks, and without compiled kernels.
    """
    named = str(values["network_file"])
    if named or os.environ.get(ENVIRONMENT_KEY, ""):
        return named
    if needs_events or values["backend"] in LAVA_BACKENDS or values["arithmetic"] or values["thresholds"]:
        return INSTALLED
    return DEFAULT if list_kernel_sets() else INSTALLED


def open_network(name_or_file: str = "") -> AnyNetwork:
    """Opens a network.

    Args:
        name_or_file: The name of a network of the package or of an imported one; an ONNX file, which is then read with
            everything found out; a network of lava-dl (.pt, .net, or the wheel); empty for the installed YOLO-KP.

    Returns:
        The network.

    Raises:
        UserError: It is not found, or cannot be used.
    """
    path = find_network(name_or_file)
    if path.name == CARD_NAME:
        network = load_card(path)
        try:
            check_head(network.head)
        except UserError as error:
            raise UserError(to_one_line(f"{path}: {error}; import the network again")) from error
        return network
    if name_or_file and os.path.basename(name_or_file) == name_or_file and not os.path.exists(path):
        raise UserError(to_one_line(f"{name_or_file}: no such file, and no imported network of this name; 'model list' "
                                    "shows them"))
    if looks_like_onnx(path):
        from .detector import Wishes
        from .process import import_apart

        found = import_apart(path, Wishes())
        for note in found.notes:
            print(f"regionmask_ros: {path}: {note}", file=sys.stderr)
        return found.network
    loaded = load_network(path)
    if isinstance(loaded.head, LevelsHead):
        check_head(loaded.head.spec)
    return loaded


def open_event_network(name_or_file: str, purpose: str) -> Network:
    """Opens a network that sends events, for what dense networks cannot do.

    Args:
        name_or_file: See ``open_network``.
        purpose: What the caller does, for the message.

    Returns:
        The network.

    Raises:
        UserError: It is not found, cannot be used, or is a dense network.
    """
    network = open_network(name_or_file)
    if isinstance(network, DenseNetwork):
        raise UserError(to_one_line(f"{name_or_file or network.name}: a dense network, which has no events: {purpose} "
                                    "works with sigma-delta networks only, such as yolo_kp"))
    return network
