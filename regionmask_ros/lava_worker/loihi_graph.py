"""The network on Loihi 2, through Intel's closed extension of Lava: choice of the board, graph, and profilers.

Events can reach the chip in two ways::

    adapter:   Injector -> DeltaEncoder -> PyToN3ConvAdapter -> layers;  ReadConv(sigma of the head) -> Extractor
    ethernet:  Injector -> layers;  head -> Extractor;  both over the 10G link

With adapters, an embedded processor relays the events that Lava's encoder computes on the host. Over ethernet, events
go to the first layer directly. No encoder delays them by one step there, so the first step has no events in its place,
and the layers start in the same state.

Not yet run on hardware. It is tested against a stand-in that has the extension's interface.
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
from .protocol import MESSAGE_SHIFT, NetworkHeader
from .sim_graph import GRADED_BITS, MESSAGE_BITS, AccumulatedInput, Layers, as_xy, connect_layers, encoder_threshold

SINFO = ("sinfo", "--noheader", "--Node", "--format=%N %P %t")
SINFO_TIMEOUT_S = 20.0
INPUT_SLOTS = 8
STOP_TIMEOUT_S, STOP_PERIOD_S = 30.0, 0.5

_MICRO = 1e-6


class BoardNotFound(Exception):
    """The wanted board does not exist or is down."""


def choose_board(settings: Mapping[str, Any]) -> None:
    """Chooses the board: sets environment variables, which the extension reads when it is imported.

    For SLURM they are set here and not by ``lava.utils.loihi``: in lava-nc 0.10 its search for a partition or board
    fails at the empty last line of sinfo's output. Lava's own errors, such as a host that does not respond, are raised
    as they are.

    Args:
        settings: Options of the backend, see ``backends.loihi2.Loihi2Options``.

    Raises:
        BoardNotFound: SLURM does not know the board, or it is down.
    """
    from lava.utils import loihi

    if settings["nx_options"]:
        os.environ["NXOPTIONS"] = settings["nx_options"]
    if settings["host_mode"] == "slurm":
        _choose_by_slurm(settings["partition"], settings["board"])
        os.environ["LOIHI_GEN"] = settings["generation"]
        loihi.host = "SLURM"
    elif settings["host_mode"] == "ethernet":
        loihi.use_ethernet_host(host_address=settings["nxsdk_host"], host_binary_path=settings["host_binary"],
                                loihi_gen=loihi.ChipGeneration(settings["generation"]))


def _choose_by_slurm(partition: str, board: str) -> None:
    nodes = _list_nodes()
    candidates = [
        (name, state) for name, of, state in nodes
        if (not partition or of == partition) and (not board or name == board)]
    wanted = f"board {board}" if board else f"partition {partition}" if partition else "any board"
    if not candidates:
        known = ", ".join(sorted({f"{name} in {of}" for name, of, _ in nodes})) or "no node at all"
        raise BoardNotFound(f"{wanted} is not found; SLURM knows {known}")
    if all("down" in state for _, state in candidates):
        raise BoardNotFound(f"{wanted} is down, says SLURM")
    for name, value in (("SLURM", "1"), ("NOSLURM", ""), ("PARTITION", partition), ("BOARD", board)):
        os.environ.pop(name, None)
        if value:
            os.environ[name] = value


def _list_nodes() -> list[tuple[str, str, str]]:
    """(node, partition, state) of all nodes of SLURM, which marks its default partition with a star."""
    try:
        done = subprocess.run(SINFO, capture_output=True, text=True, timeout=SINFO_TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise BoardNotFound(f"SLURM does not answer: {error}") from error
    words = (line.split() for line in done.stdout.splitlines())
    return [(node, partition.rstrip("*"), state) for node, partition, state in (w for w in words if len(w) == 3)]


class Profilers:
    """Lava's Loihi 2 profilers for one run.

    Args:
        steps: Number of time steps of the run.

    Attributes:
        callbacks: For the run configuration.
    """

    def __init__(self, steps: int) -> None:
        from lava.utils import loihi2_profiler

        self._steps = steps
        self._power = loihi2_profiler.Loihi2Power(num_steps=steps)
        self._time = loihi2_profiler.Loihi2ExecutionTime()
        self._activity = loihi2_profiler.Loihi2Activity()
        self.callbacks = [self._power, self._time, self._activity]

    def figures(self) -> dict[str, Any]:
        """Means over the steps of the last run, in s, W and counts per core, for ``metrics.loihi2.measured_table``."""
        return {
            "steps": self._steps, "step_s": float(self._time.avg_time_per_step) * _MICRO,
            "power_w": float(np.mean(self._power.total_power)),
            "static_power_w": float(self._power.static_total_power), "cores": self._cores(),
        }

    def _cores(self) -> list[dict[str, float]]:
        activity = self._activity
        columns = (activity.chip_idx, activity.core_idx, activity.syn_ops, activity.dendrite_updates)
        return [
            {"chip": int(chip), "core": int(core), "synops": float(synops) / self._steps,
             "neuron_updates": float(updates) / self._steps}
            for chip, core, synops, updates in zip(*(np.ravel(column) for column in columns))]


class LoihiGraph:
    """The running graph on the chip.

    Args:
        network: The network; its settings are those of ``backends.loihi2``.
        report: Called with `Profilers.figures` after each run of ``profile_steps`` steps, if profiling is on.

    Attributes:
        latency: Time steps from a frame's injection to its head.
        warmup_steps: Time steps without events before the first frame.

    Raises:
        BoardNotFound: SLURM does not know the board, or it is down.
    """

    def __init__(self, network: NetworkHeader, report: Callable[[dict[str, Any]], None]) -> None:
        shim.import_var_model()
        settings = network.settings
        choose_board(settings)
        from lava.proc.io.extractor import Extractor
        from lava.proc.io.injector import Injector

        self._network, self._settings, self._report = network, settings, report
        self._stopping = threading.Event()
        self._is_direct = settings["io"] == "ethernet"
        self.warmup_steps, self.latency = int(self._is_direct), len(network.layers) + int(not self._is_direct)
        self._input = AccumulatedInput(network.shape)
        self._injector = Injector(shape=self._input.xy_shape, buffer_size=INPUT_SLOTS)
        self._extractor = Extractor(shape=self._head_shape(), buffer_size=INPUT_SLOTS)
        models = self._connect_ethernet() if self._is_direct else self._connect_adapters()
        self._steps = int(settings["profile_steps"] if settings["profile"] else settings["steps_per_run"])
        self._profilers = Profilers(self._steps) if settings["profile"] else None
        self._run(models)

    def inject(self, index: np.ndarray, message: np.ndarray) -> None:
        """Injects one frame's events, see `AccumulatedInput.add`. Takes one time step."""
        if self._is_direct:
            spikes = np.zeros(int(np.prod(self._network.shape)), np.int32)
            spikes[index] = message.astype(np.int32) << self._settings["spike_exp"]
            self._injector.send(as_xy(spikes, self._network.shape))
        else:
            self._injector.send(self._input.add(index, message))

    def extract(self) -> np.ndarray:
        """Waits for the head after one more time step, int32 [rows, cols, channels] at 2**(10 + exponent)."""
        head = self._extractor.receive().transpose(1, 0, 2).astype(np.int32)
        shift = MESSAGE_SHIFT - self._settings["spike_exp"]
        scaled: np.ndarray = head << shift if shift >= 0 else head >> -shift
        return scaled

    def run_forever(self) -> None:
        """Starts run after run. Reports the figures of each run if profiling is on."""
        while True:
            self._injector.wait()
            if self._stopping.is_set():
                threading.Event().wait()  # the process ends soon
            if self._profilers is not None:
                self._report(self._profilers.figures())
            self._run()

    def stop(self) -> None:
        """Releases the board. Injects empty frames meanwhile, because a run may be waiting for events."""
        self._stopping.set()
        stopping = threading.Thread(target=self._injector.stop, daemon=True)
        stopping.start()
        no_events, deadline = (np.zeros(0, np.uint32), np.zeros(0, np.int8)), time.monotonic() + STOP_TIMEOUT_S
        while stopping.is_alive() and time.monotonic() < deadline:
            threading.Thread(target=self.inject, args=no_events, daemon=True).start()
            stopping.join(STOP_PERIOD_S)

    def _head_shape(self) -> tuple[int, int, int]:
        """(x, y, channels)."""
        rows, cols, _ = self._network.shape
        for layer in self._network.layers:
            kernel, step, zeros = layer.weight.shape[2], layer.stride, layer.padding
            rows, cols = ((side + 2 * zeros - kernel) // step + 1 for side in (rows, cols))
        return cols, rows, len(self._network.layers[-1].weight)

    def _connect_adapters(self) -> dict[type, Any]:
        """Returns the models of the host's processes."""
        from lava.proc import embedded_io as eio
        from lava.proc.io.encoder import Compression, DeltaEncoder, PyDeltaEncoderModelSparse

        compression = Compression[self._settings["compression"].upper()]
        encoder = DeltaEncoder(
            shape=self._input.xy_shape, vth=encoder_threshold(self._network), spike_exp=0, num_bits=MESSAGE_BITS,
            compression=compression)
        adapter = eio.spike.PyToN3ConvAdapter(
            shape=encoder.s_out.shape, num_message_bits=GRADED_BITS, spike_exp=self._settings["spike_exp"],
            compression=compression)
        self._injector.out_port.connect(encoder.a_in)
        encoder.s_out.connect(adapter.inp)
        layers = self._connect_layers(adapter.out)
        reader = eio.state.ReadConv(shape=layers.head.s_out.shape)
        reader.connect_var(layers.head.sigma)
        reader.out.connect(self._extractor.in_port)
        return {DeltaEncoder: PyDeltaEncoderModelSparse}

    def _connect_ethernet(self) -> dict[type, Any]:
        """Returns the models of the host's processes."""
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
        layers = self._connect_layers(self._injector.out_port, link)
        layers.head.s_out.connect(self._extractor.in_port, link)
        return {Injector: PyLoihiInjectorModelAsync, Extractor: PyLoihiExtractorModelAsync}

    def _connect_layers(self, source: Any, link: Any = None) -> Layers:
        return connect_layers(self._network, source, self._settings["spike_exp"], link)

    def _run(self, models: dict[type, Any] | None = None) -> None:
        """Starts a run. The first one compiles and loads the network, with these models of the host's processes."""
        from lava.magma.core.run_conditions import RunSteps
        from lava.magma.core.run_configs import Loihi2HwCfg

        steps = RunSteps(num_steps=self._steps, blocking=False)
        if models is None:
            self._injector.run(condition=steps)
            return
        callbacks = self._profilers.callbacks if self._profilers is not None else []
        self._injector.run(
            condition=steps, run_cfg=Loihi2HwCfg(exception_proc_model_map=models, callback_fxs=callbacks))
