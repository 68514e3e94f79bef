"""Makes an imported network part of the package: its quantized form and its card, without the ONNX model.

Run from the repository: python -m checks.package_network NAME
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from regionmask_ros.files.outputs import write_whole
from regionmask_ros.network.cards import find_card, load_card, write_card

PLACE = Path(__file__).parents[1] / "regionmask_ros/network/packaged"
FACTS = "training.json"
"""What distill stores beside a card."""

LARGEST = 1_500_000
"""Bytes; everybody who installs the package downloads them."""


def main(name: str) -> int:
    """Packages a network, and returns the exit status."""
    card = find_card(name)
    if card is None or not (card.parent / FACTS).is_file():
        print(f"{name}: no network that distill has made", file=sys.stderr)
        return 2
    network = load_card(card)
    if not network.tiles or len(network.tiles) > LARGEST:
        print(f"{name}: {len(network.tiles):,} bytes of quantized form, from 1 to {LARGEST:,} are possible",
              file=sys.stderr)
        return 2
    made = write_card(replace(network, model=b"", precision="int8"), PLACE / name)
    write_whole(made.parent / FACTS, (card.parent / FACTS).read_bytes())
    print(made)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
