"""Which Loihi 2 board Lava is to use: environment variables, which the extension reads when it is imported.

For SLURM they are set here and not by ``lava.utils.loihi``: in lava-nc 0.10 its look for a partition or board stumbles
over the empty last line of sinfo's output.

What Lava's Loihi 2 profilers measure; ``metrics.loihi2_table`` makes the table of it.

The network on Loihi 2 through Intel's closed extension, in the two ways that events can get there.

    adapter:   Injector -> DeltaEncoder -> PyToN3ConvAdapter -> layers;  ReadConv(sigma of the head) -> Extractor
    ethernet:  Injector -> layers;  head -> Extractor;  both over the 10G link

Through the adapters an embedded processor relays the events that Lava's encoder makes on the host. Over ethernet the
events go to the first layer directly; there is no encoder that delays them by a step, so a first step without events
takes its place and the layers warm up as ever.

Nobody has run this on hardware yet. It is tested against a stand-in of the extension's interface.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from . import shim
from .encoder_input import AccumulatedInput, as_xy
from .protocol import MESSAGE_SHIFT, NetworkHeader
from .sim_graph import GRADED_BITS, MESSAGE_BITS, Layers, connect_layers, encoder_threshold

SINFO = ("sinfo", "--noheader", "--Node", "--format=%N %P %t")
SINFO_TIMEOUT_S = 20.0


class BoardNotFound(Exception):
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
        raise BoardNotFound(f"{wanted} is not found; SLURM knows {known}")
    if all("down" in state for _, state in fitting):
        raise BoardNotFound(f"{wanted} is down, says SLURM")
    for name, value in (("SLURM", "1"), ("NOSLURM", ""), ("PARTITION", partition), ("BOARD", board)):
        os.environ.pop(name, None)
        if value:
            os.environ[name] = value


def _nodes() -> list[tuple[str, str, str]]:
    """(node, partition, state) of every one that SLURM knows; it marks its default partition with a star."""
    try:
        done = subprocess.run(SINFO, capture_output=True, text=True, timeout=SINFO_TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise BoardNotFound(f"SLURM does not answer: {error}") from error
    words = (line.split() for line in done.stdout.splitlines())
    return [(node, partition.rstrip("*"), state) for node, partition, state in (w for w in words if len(w) == 3)]


MICRO = 1e-6


class Profilers:
    """Lava's profilers for one run of ``steps`` time steps. ``callbacks``: to be given to the run configuration."""

    def __init__(self, steps: int) -> None:
        from lava.utils import loihi2_profiler

        self._steps = steps
        self._power = loihi2_profiler.Loihi2Power(num_steps=steps)
        self._time = loihi2_profiler.Loihi2ExecutionTime()
        self._activity = loihi2_profiler.Loihi2Activity()
        self.callbacks = [self._power, self._time, self._activity]

    def figures(self) -> dict[str, Any]:
        """After the run, means over the steps: seconds, W, and counts a step of each core that was used."""
        return {
            "steps": self._steps, "step_s": float(self._time.avg_time_per_step) * MICRO,
            "power_w": float(np.mean(self._power.total_power)),
            "static_power_w": float(self._power.static_total_power), "cores": self._cores(),
        }

    def _cores(self) -> list[dict[str, float]]:
        activity = self._activity
        columns = (activity.chip_idx, activity.core_idx, activity.syn_ops, activity.dendrite_updates)
        return [
            {"chip": int(chip), "core": int(core), "synops": float(synops) / self._steps,
             "neuron_updates": float(updates) / self._steps}
            for chip, core, synops, updates in zip(*(np.ravel(column) for column in columns))
        ]


INPUT_SLOTS = 8
STOP_TIMEOUT_S, FEED_EVERY_S = 30.0, 0.5


class LoihiGraph:
    """The running graph. ``report`` gets figures after each run of ``profile_steps`` steps, when profiling is on.

    latency, lead_in: see ``sim_graph``. settings: those of ``backends.loihi2``.
    """

    def __init__(
        self, network: NetworkHeader, settings: Mapping[str, Any], report: Callable[[dict[str, Any]], None]
    ) -> None:
        shim.import_var_model()
        choose_board(settings)
        from lava.proc.io.extractor import Extractor
        from lava.proc.io.injector import Injector

        self._network, self._settings, self._report = network, settings, report
        self._stopping = threading.Event()
        self._direct = settings["io"] == "ethernet"
        self.lead_in, self.latency = (1, len(network.layers)) if self._direct else (0, len(network.layers) + 1)
        self._told = AccumulatedInput(network.shape)
        self._injector = Injector(shape=self._told.xy_shape, buffer_size=INPUT_SLOTS)
        self._extractor = Extractor(shape=self._head_shape(), buffer_size=INPUT_SLOTS)
        connect = self._connect_ethernet if self._direct else self._connect_adapters
        models = connect()
        self._steps = int(settings["profile_steps"] if settings["profile"] else settings["steps_per_run"])
        self._profilers = Profilers(self._steps) if settings["profile"] else None
        self._run(models)

    def inject(self, index: np.ndarray, message: np.ndarray) -> None:
        """One frame's events: flat places, and messages in the encoder's units. Takes one step."""
        if self._direct:
            spikes = np.zeros(int(np.prod(self._network.shape)), np.int32)
            spikes[index] = message.astype(np.int32) << self._settings["spike_exp"]
            self._injector.send(as_xy(spikes, self._network.shape))
        else:
            self._injector.send(self._told.add(index, message))

    def extract(self) -> np.ndarray:
        """The head after one more step, int32 [rows, cols, channels] at 2**16; waits for it."""
        head = self._extractor.receive().transpose(1, 0, 2).astype(np.int32)
        beyond = MESSAGE_SHIFT - self._settings["spike_exp"]
        return head << beyond if beyond >= 0 else head >> -beyond

    def run_forever(self) -> None:
        """Run after run, for ever: each ends after its steps, and tells its profile when profiling is on."""
        while True:
            self._injector.wait()
            if self._stopping.is_set():
                threading.Event().wait()  # the end of the process is near
            if self._profilers is not None:
                self._report(self._profilers.figures())
            self._run()

    def stop(self) -> None:
        """Gives the board back. A run that waits for events is freed by steps without any."""
        self._stopping.set()
        stopping = threading.Thread(target=self._injector.stop, daemon=True)
        stopping.start()
        nothing, deadline = (np.zeros(0, np.uint32), np.zeros(0, np.int8)), time.monotonic() + STOP_TIMEOUT_S
        while stopping.is_alive() and time.monotonic() < deadline:
            threading.Thread(target=self.inject, args=nothing, daemon=True).start()
            stopping.join(FEED_EVERY_S)

    def _head_shape(self) -> tuple[int, int, int]:
        rows, cols, _ = self._network.shape
        for layer in self._network.layers:
            kernel, step, zeros = layer.weight.shape[2], layer.stride, layer.padding
            rows, cols = ((side + 2 * zeros - kernel) // step + 1 for side in (rows, cols))
        return cols, rows, len(self._network.layers[-1].weight)

    def _connect_adapters(self) -> dict[type, Any]:
        from lava.proc import embedded_io as eio
        from lava.proc.io.encoder import Compression, DeltaEncoder, PyDeltaEncoderModelSparse

        compression = Compression[self._settings["compression"].upper()]
        encoder = DeltaEncoder(
            shape=self._told.xy_shape, vth=encoder_threshold(self._network), spike_exp=0, num_bits=MESSAGE_BITS,
            compression=compression,
        )
        into = eio.spike.PyToN3ConvAdapter(
            shape=encoder.s_out.shape, num_message_bits=GRADED_BITS, spike_exp=self._settings["spike_exp"],
            compression=compression,
        )
        self._injector.out_port.connect(encoder.a_in)
        encoder.s_out.connect(into.inp)
        layers = self._layers(into.out)
        out = eio.state.ReadConv(shape=layers.head.s_out.shape)
        out.connect_var(layers.head.sigma)
        out.out.connect(self._extractor.in_port)
        return {DeltaEncoder: PyDeltaEncoderModelSparse}

    def _connect_ethernet(self) -> dict[type, Any]:
        from lava.magma.core.process.ports.connection_config import ConnectionConfig, SpikeIOInterface, SpikeIOMode
        from lava.proc.io.extractor import Extractor, PyLoihiExtractorModelAsync
        from lava.proc.io.injector import Injector, PyLoihiInjectorModelAsync

        settings = self._settings
        link = ConnectionConfig(
            interface=SpikeIOInterface.ETHERNET, spike_io_mode=SpikeIOMode.FREE_RUNNING,
            ethernet_interface=settings["ethernet_interface"], ethernet_mac_address=settings["ethernet_mac"],
            loihi_mac_address=settings["loihi_mac"], ethernet_chip_idx=int(settings["ethernet_chip_index"]),
            ethernet_chip_id=tuple(int(part) for part in settings["ethernet_chip_id"].split(",")),
        )
        layers = self._layers(self._injector.out_port, link)
        layers.head.s_out.connect(self._extractor.in_port, link)
        return {Injector: PyLoihiInjectorModelAsync, Extractor: PyLoihiExtractorModelAsync}

    def _layers(self, source: Any, link: Any = None) -> Layers:
        return connect_layers(self._network, source, self._settings["spike_exp"], link)

    def _run(self, models: dict[type, Any] | None = None) -> None:
        """The first call compiles and loads."""
        from lava.magma.core.run_conditions import RunSteps
        from lava.magma.core.run_configs import Loihi2HwCfg

        steps = RunSteps(num_steps=self._steps, blocking=False)
        if models is None:
            self._injector.run(condition=steps)
            return
        callbacks = self._profilers.callbacks if self._profilers is not None else []
        self._injector.run(
            condition=steps, run_cfg=Loihi2HwCfg(exception_proc_model_map=models, callback_fxs=callbacks)
        )
