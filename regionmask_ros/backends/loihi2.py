"""The detector on Loihi 2 hardware, through Intel's closed extension of Lava. Not yet run on hardware.

Everything that can be missing is looked for first, so that the answer is one line and comes within a second.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..core.options import ProcessOptions, option
from ..errors import UserError
from ..network.graph import Network
from .base import BackendError, IsCancelled, never_cancelled
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
    """See ``options``. Raises UserError for values that do not go together."""

    open_timeout: float = option(
        900.0, "Seconds within which the network must be compiled and on the chip.", low=1.0, high=7200.0,
        parameter="loihi2_open_timeout",
    )
    io: str = option("adapter", "Way in and out. adapter: embedded processors relay events. ethernet: the 10G link.",
                     choices=("adapter", "ethernet"))
    host_mode: str = option(
        "slurm", "How the board is reached. slurm: a SLURM cluster such as Intel's. ethernet: the host at nxsdk_host. "
        "environment: as the environment variables say.", choices=("slurm", "ethernet", "environment"))
    partition: str = option("", "SLURM partition; empty: any.")
    board: str = option("", "SLURM node with the board; empty: any. Name a partition or a board, not both.")
    generation: str = option("N3B3", "Generation of the chip.", choices=("N2A2", "N3B2", "N3B3", "N3C1", "N3D1"))
    nxsdk_host: str = option("", "Address of the board's host, for host_mode ethernet.")
    host_binary: str = option("nxcore/bin/nx_driver_server", "Driver on that host.")
    nx_options: str = option("", "Value of NXOPTIONS, which some boards need.")
    ethernet_interface: str = option("enp2s0", "10G interface of the host, for io ethernet.")
    ethernet_mac: str = option("0x90e2ba01214c", "MAC address of that interface.")
    loihi_mac: str = option("0x0015edbeefed", "MAC address of the board's 10G port.")
    ethernet_chip_id: str = option("2,2,1", "Place x,y,z of the chip that the 10G link ends at.")
    ethernet_chip_index: int = option(12, "Number of that chip.", low=0, high=1023)
    compression: str = option("delta_sparse_8", "How events travel to the adapter.",
                              choices=("delta_sparse_8", "packed_4", "sparse"))
    spike_exp: int = option(4, "Binary places of a message beyond 6. 4 gives the integers of arithmetic lava.", low=0,
                            high=6)
    steps_per_run: int = option(1 << 20, "Time steps that are asked of the board at a time.", low=1, high=(1 << 31) - 1)
    profile: bool = option(False, "Measure time, power and activity of every core.")
    profile_steps: int = option(100, "Time steps of a run while measuring.", low=1, high=1 << 20)

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
