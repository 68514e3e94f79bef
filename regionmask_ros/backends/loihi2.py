"""The detector on Loihi 2 hardware, through Intel's closed extension of Lava. Not yet run on hardware.

Everything that can be missing is looked for first, so that the answer is one line and comes within a second.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..core.option_table import option_field
from ..errors import UserError
from ..network.graph import Network
from .base import BackendError, IsCancelled, ProcessOptions, never_cancelled
from .lava import SteppedBackend
from .lava_env import ask_lava_python, find_lava_python

LAVA = "lava"
GUIDE = "see docs/LOIHI2.md"
GRACE_S = 40.0
"""The board has to be given back in order."""

_MAC = re.compile("0x[0-9a-fA-F]{12}")
_CHIP = re.compile("[0-9]{1,3},[0-9]{1,3},[0-9]{1,3}")


@dataclass(frozen=True)
class Loihi2Options(ProcessOptions):
    """Options of the chip and the way to it; `core.option_table` describes them as ``loihi2_...``.

    Raises:
        UserError: Values contradict each other, or an address is malformed.
    """

    open_timeout: float = option_field("loihi2_open_timeout")
    io: str = option_field("loihi2_io")
    host_mode: str = option_field("loihi2_host_mode")
    partition: str = option_field("loihi2_partition")
    board: str = option_field("loihi2_board")
    generation: str = option_field("loihi2_generation")
    nxsdk_host: str = option_field("loihi2_nxsdk_host")
    host_binary: str = option_field("loihi2_host_binary")
    nx_options: str = option_field("loihi2_nx_options")
    ethernet_interface: str = option_field("loihi2_ethernet_interface")
    ethernet_mac: str = option_field("loihi2_ethernet_mac")
    loihi_mac: str = option_field("loihi2_loihi_mac")
    ethernet_chip_id: str = option_field("loihi2_ethernet_chip_id")
    ethernet_chip_index: int = option_field("loihi2_ethernet_chip_index")
    compression: str = option_field("loihi2_compression")
    spike_exp: int = option_field("loihi2_spike_exp")
    steps_per_run: int = option_field("loihi2_steps_per_run")
    profile: bool = option_field("loihi2_profile")
    profile_steps: int = option_field("loihi2_profile_steps")

    def __post_init__(self) -> None:
        if self.partition and self.board:
            raise UserError("loihi2 options partition and board: name one of them, a board lies in one partition")
        if self.host_mode == "ethernet" and not self.nxsdk_host:
            raise UserError("loihi2 option nxsdk_host: host_mode ethernet needs the address of the board's host")
        for name in ("ethernet_mac", "loihi_mac"):
            if not _MAC.fullmatch(getattr(self, name)):
                raise UserError(f"loihi2 option {name} {getattr(self, name)!r}: write 0x and 12 hexadecimal digits")
        if not _CHIP.fullmatch(self.ethernet_chip_id):
            raise UserError(f"loihi2 option ethernet_chip_id {self.ethernet_chip_id!r}: write x,y,z such as 2,2,1")


def missing(facts: Mapping[str, Any], options: Loihi2Options) -> str:
    """What stands between an interpreter with these facts and a board, and what to do; empty: nothing that shows."""
    python, variables = facts["interpreter"], facts["variables"]
    if facts["packages"]["lava-nc"] is None:
        return f"{python} has no lava-nc; run 'make lava'"
    absent = [module for module, there in facts["extension"].items() if not there]
    if absent:
        return (f"Loihi 2 needs Intel's closed extension lava-loihi, and {python} does not have it (no {absent[0]}); "
                f"members of Intel's INRC get it ({GUIDE}); without it use backend lava_sim")
    if options.host_mode == "slurm" and not facts["slurm"]:
        return (f"Loihi 2 by host_mode slurm needs a SLURM cluster, and there is no command sinfo here; log in to a "
                f"host of the cluster, or set host_mode ethernet and nxsdk_host ({GUIDE})")
    if options.host_mode == "environment" and not {"SLURM", "NXSDKHOST"} & set(variables):
        return f"Loihi 2 by host_mode environment needs SLURM or NXSDKHOST in the environment ({GUIDE})"
    return ""


class Loihi2Backend(SteppedBackend):
    """As the simulator, on the chip. Counts of events and synops inside are not known there, so they are empty."""

    arithmetics = (LAVA,)
    default_arithmetic = LAVA
    options_class = Loihi2Options
    counts_synops = False
    quick_to_open = False

    @staticmethod
    def check(options: Loihi2Options) -> None:
        """What can be told at once. Raises BackendFailed that says what is missing and what to do."""
        told = missing(ask_lava_python(find_lava_python(options.python)), options)
        if told:
            raise BackendError(told)

    def __init__(
        self, network: Network, input_wh: tuple[int, int], arithmetic: str, options: Loihi2Options,
        is_cancelled: IsCancelled = never_cancelled,
    ) -> None:
        self.check(options)
        settings = {"backend": "loihi2", **dataclasses.asdict(options)}
        super().__init__(network, input_wh, options, settings, 0, is_cancelled, GRACE_S)
        ready = self._process.ready
        self.kernels = f"Loihi 2 {options.generation} by {options.io}, lava-nc {ready['lava']}, not yet run on hardware"

    def drain(self) -> None:
        """While measuring, a run that is not complete is filled up with steps without events."""
        super().drain()
        if self._options.profile and self.profile is None:
            self._skip_steps(self._options.profile_steps)
            self._wait(lambda: self.profile is not None)
