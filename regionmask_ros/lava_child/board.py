"""Which Loihi 2 board Lava is to use: environment variables, which the extension reads when it is imported.

For SLURM they are set here and not by ``lava.utils.loihi``: in lava-nc 0.10 its look for a partition or board stumbles
over the empty last line of sinfo's output.
"""

from __future__ import annotations

import os
import subprocess
from typing import Any, Mapping

SINFO = ("sinfo", "--noheader", "--Node", "--format=%N %P %t")
SINFO_TIMEOUT_S = 20.0


class NoBoard(Exception):
    """The board that was asked for is not there; ``str`` says so in one line."""


def choose_board(settings: Mapping[str, Any]) -> None:
    """Raises NoBoard; Lava's own errors, as when a host does not answer, come through as they are."""
    from lava.utils import loihi

    if settings["nx_options"]:
        os.environ["NXOPTIONS"] = settings["nx_options"]
    if settings["host_mode"] == "slurm":
        _choose_by_slurm(settings["partition"], settings["board"])
        os.environ["LOIHI_GEN"] = settings["generation"]
        loihi.host = "SLURM"
    elif settings["host_mode"] == "ethernet":
        loihi.use_ethernet_host(
            host_address=settings["nxsdk_host"], host_binary_path=settings["host_binary"],
            loihi_gen=loihi.ChipGeneration(settings["generation"]),
        )


def _choose_by_slurm(partition: str, board: str) -> None:
    nodes = _nodes()
    fitting = [
        (name, state) for name, of, state in nodes
        if (not partition or of == partition) and (not board or name == board)
    ]
    wanted = f"board {board}" if board else f"partition {partition}" if partition else "any board"
    if not fitting:
        known = ", ".join(sorted({f"{name} in {of}" for name, of, _ in nodes})) or "no node at all"
        raise NoBoard(f"{wanted} is not found; SLURM knows {known}")
    if all("down" in state for _, state in fitting):
        raise NoBoard(f"{wanted} is down, says SLURM")
    for name, value in (("SLURM", "1"), ("NOSLURM", ""), ("PARTITION", partition), ("BOARD", board)):
        os.environ.pop(name, None)
        if value:
            os.environ[name] = value


def _nodes() -> list[tuple[str, str, str]]:
    """(node, partition, state) of every one that SLURM knows; it marks its default partition with a star."""
    try:
        done = subprocess.run(SINFO, capture_output=True, text=True, timeout=SINFO_TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise NoBoard(f"SLURM does not answer: {error}") from error
    words = (line.split() for line in done.stdout.splitlines())
    return [(node, partition.rstrip("*"), state) for node, partition, state in (w for w in words if len(w) == 3)]
