"""``python -m checks.package_network NAME``: makes a network that ``distill`` has made part of the package.

Its quantized form, its card and the facts of its training are stored there, without the ONNX model.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from regionmask_ros.commands._cli import run_guarded
from regionmask_ros.errors import UserError
from regionmask_ros.files.outputs import write_whole
from regionmask_ros.network.cards import FACTS_NAME, find_card, load_card, write_card

PLACE = Path(__file__).resolve().parents[1] / "regionmask_ros" / "network" / "packaged"
LARGEST = 1_500_000
"""Bytes of the quantized form; everybody who installs the package downloads them."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program.

    Args:
        argv: Its arguments; None: those of the process.

    Returns:
        The exit status.

    Raises:
        UserError: There is no such network, or it is too large.
    """
    parser = argparse.ArgumentParser(prog="python -m checks.package_network", description=__doc__)
    parser.add_argument("network", metavar="NAME", help="name of the network")
    name = parser.parse_args(argv).network
    card = find_card(name)
    if card is None or not (card.parent / FACTS_NAME).is_file():
        raise UserError(f"{name}: no network that distill has made")
    network = load_card(card)
    if not 0 < len(network.tiles) <= LARGEST:
        raise UserError(f"{name}: {len(network.tiles):,} bytes of quantized form, from 1 to {LARGEST:,} are possible")
    made = write_card(replace(network, model=b"", precision="int8"), PLACE / name)
    write_whole(made.parent / FACTS_NAME, (card.parent / FACTS_NAME).read_bytes())
    print(made)
    return 0


if __name__ == "__main__":
    sys.exit(run_guarded(main))
