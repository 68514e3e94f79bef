"""The detector in Lava's simulator: the same network through lava-nc's own processes and fixed-point models."""

from __future__ import annotations

from dataclasses import dataclass

from ..network.spec import Network
from .base import GivenUp, wanted_all_along
from .lava_python import find_lava_python
from .options import ProcessOptions, option
from .stepped import SteppedBackend

LAVA = "lava"


@dataclass(frozen=True)
class LavaSimOptions(ProcessOptions):
    """See ``options``."""

    conv: str = option("gemm", "Convolution. gemm: a matrix product, the same integers. stock: Lava's own model, which "
                       "takes seconds a step.", choices=("gemm", "stock"))


class LavaSimBackend(SteppedBackend):
    """One layer a time step: a frame's head comes out ``latency_steps`` later."""

    arithmetics = (LAVA,)
    default_arithmetic = LAVA
    options_class = LavaSimOptions
    counts_synops = True
    quick_to_open = True

    @staticmethod
    def check(options: LavaSimOptions) -> None:
        """What can be told at once. Raises BackendFailed when no interpreter is found."""
        find_lava_python(options.python)

    def __init__(
        self, network: Network, input_wh: tuple[int, int], arithmetic: str, options: LavaSimOptions,
        given_up: GivenUp = wanted_all_along,
    ) -> None:
        super().__init__(network, input_wh, options, {"conv": options.conv}, len(network.layers), given_up)
        ready = self._process.ready
        self.kernels = f"lava-nc {ready['lava']}, {options.conv} convolution, Python {ready['python']}"
