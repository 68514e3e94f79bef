"""Which Loihi 2 board Lava is to use, told to it in the way of its own utilities."""

from __future__ import annotations

import os
from typing import Any, Mapping


def choose_board(settings: Mapping[str, Any]) -> None:
    """Before anything of the extension is imported, which reads the environment. Raises Lava's errors as they are."""
    from lava.utils import loihi

    generation = loihi.ChipGeneration(settings["generation"])
    if settings["nx_options"]:
        os.environ["NXOPTIONS"] = settings["nx_options"]
    if settings["host_mode"] == "slurm":
        loihi.use_slurm_host(
            partition=settings["partition"] or None, board=settings["board"] or None, loihi_gen=generation
        )
    elif settings["host_mode"] == "ethernet":
        loihi.use_ethernet_host(
            host_address=settings["nxsdk_host"], host_binary_path=settings["host_binary"], loihi_gen=generation
        )
