"""The backend on Loihi 2 hardware, through Intel's closed extension of Lava. Not yet run on hardware.

Before it opens, everything that may be missing is checked, so that an error is one line and takes about a second.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..core.option_table import option_field, options_of
from ..errors import UserError
from ..network.chain import Network
from .base import BackendError, IsCancelled, ProcessOptions, never_cancelled
from .lava import SteppedBackend
from .worker_process import ask_lava_python, find_lava_python

GUIDE = "see docs/LOIHI2.md"
GRACE_S = 40.0
"""Seconds for the worker to release the board before it is killed."""

_MAC = re.compile("0x[0-9a-fA-F]{12}")
_CHIP = re.compile("[0-9]{1,3},[0-9]{1,3},[0-9]{1,3}")


@dataclass(frozen=True)
class Loihi2Options(ProcessOptions):
    """Options of the chip and of the connection to it; `core.option_table` describes them as ``loihi2_...``.

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
            raise UserError("loihi2_partition and loihi2_board: set one of them; a board belongs to one partition")
        if self.host_mode == "ethernet" and not self.nxsdk_host:
            raise UserError("loihi2_nxsdk_host: set the address of the board's host, for loihi2_host_mode ethernet")
        for name in ("ethernet_mac", "loihi_mac"):
            if not _MAC.fullmatch(getattr(self, name)):
                option = options_of(self)[name].name
                raise UserError(f"{option} {getattr(self, name)!r}: must be 0x and 12 hexadecimal digits")
        if not _CHIP.fullmatch(self.ethernet_chip_id):
            raise UserError(f"loihi2_ethernet_chip_id {self.ethernet_chip_id!r}: must be x,y,z such as 2,2,1")


def find_obstacle(facts: Mapping[str, Any], options: Loihi2Options) -> str:
    """Finds out why an interpreter cannot reach a board.

    Args:
        facts: As ``lava_worker.start.collect_facts``.
        options: The wanted connection.

    Returns:
        What is missing, and after a semicolon what to do; empty if nothing is known to be missing.
    """
    python, variables = facts["interpreter"], facts["variables"]
    if facts["packages"]["lava-nc"] is None:
        return f"{python} has no lava-nc; run 'make lava'"
    absent = [module for module, exists in facts["extension"].items() if not exists]
    if absent:
        return (f"Loihi 2 needs Intel's closed extension lava-loihi, and {python} does not have it (no {absent[0]}); "
                f"members of Intel's INRC get it ({GUIDE}); without it use backend lava_sim")
    if options.host_mode == "slurm" and not facts["slurm"]:
        return (f"Loihi 2 with loihi2_host_mode slurm needs a SLURM cluster, and there is no command sinfo here; log "
                f"in to a host of the cluster, or set loihi2_host_mode ethernet and loihi2_nxsdk_host ({GUIDE})")
    if options.host_mode == "environment" and not {"SLURM", "NXSDKHOST"} & set(variables):
        return (f"Loihi 2 with loihi2_host_mode environment needs the environment variable SLURM or NXSDKHOST; "
                f"set one, or choose another loihi2_host_mode ({GUIDE})")
    return ""


class Loihi2Backend(SteppedBackend):
    """The network on the chip. It does not count events and synops, so these are empty in its results.

    Args:
        network: The network.
        input_wh: Width and height of the network's input.
        arithmetic: ``lava``.
        options: The connection to the board.
        is_cancelled: Ends the wait for a worker that is starting.

    Raises:
        BackendError: Something is missing, or the board cannot be used.
    """

    options_class = Loihi2Options
    counts_synops = False
    quick_to_open = False
    is_dense = False

    @staticmethod
    def check(options: Loihi2Options) -> None:
        """Raises BackendError that says what is missing and what to do."""
        obstacle = find_obstacle(ask_lava_python(find_lava_python(options.python)), options)
        if obstacle:
            raise BackendError(obstacle)

    def __init__(self, network: Network, input_wh: tuple[int, int], arithmetic: str, options: Loihi2Options,
                 is_cancelled: IsCancelled = never_cancelled) -> None:
        self.check(options)
        settings = {"backend": "loihi2", **dataclasses.asdict(options)}
        super().__init__(network, input_wh, options, settings, 0, is_cancelled, GRACE_S)
        self._profile_steps = options.profile_steps if options.profile else 0
        ready = self._process.ready
        self.kernels = f"Loihi 2 {options.generation} by {options.io}, lava-nc {ready['lava']}, not yet run on hardware"

    def drain(self) -> None:
        """Waits for all submitted frames. While profiling, completes the run with steps without events."""
        super().drain()
        if self._profile_steps and self.profile is None:
            self._skip_steps(self._profile_steps)
            self._wait_until(lambda: self.profile is not None)
