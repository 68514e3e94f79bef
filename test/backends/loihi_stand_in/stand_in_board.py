"""A board that checks the whole graph and computes its time steps with the engine's reference implementation."""

from __future__ import annotations

import json
import os
import queue
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
from lava.magma.core.process.ports.connection_config import ConnectionConfig, SpikeIOInterface, SpikeIOMode
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2HwCfg
from lava.proc.conv.process import Conv
from lava.proc.embedded_io.spike import PyToN3ConvAdapter
from lava.proc.embedded_io.state import ReadConv
from lava.proc.io.encoder import DeltaEncoder, PyDeltaEncoderModelSparse
from lava.proc.io.extractor import Extractor, PyLoihiExtractorModelAsync
from lava.proc.io.injector import Injector, PyLoihiInjectorModelAsync
from lava.proc.sdn.process import ActivationMode, Sigma, SigmaDelta
from lava.utils.loihi2_profiler import Loihi2Activity, Loihi2ExecutionTime, Loihi2Power
from stand_in_checks import Misused, need, need_type

LOG_KEY = "STAND_IN_LOG"
PROFILERS = (Loihi2Activity, Loihi2ExecutionTime, Loihi2Power)
VARIABLES = ("SLURM", "NOSLURM", "PARTITION", "BOARD", "LOIHI_GEN", "NXSDKHOST", "HOST_BINARY", "NXOPTIONS")


def install() -> None:
    """Makes all graphs run on this board. Only graphs with a hardware configuration can run."""

    def create_runtime(process: AbstractProcess, run_cfg: Any = None, executable: Any = None,
                       compile_config: Any = None) -> None:
        need_type(run_cfg, Loihi2HwCfg, "run configuration")
        need(executable is None and compile_config is None, "create_runtime: only a run configuration is known here")
        need_type(process, Injector, "the process that is run")
        process._runtime = Board(process, run_cfg)

    AbstractProcess.create_runtime = create_runtime


def log(**facts: Any) -> None:
    """Appends a line of JSON to the log of the test, if it has one."""
    if LOG_KEY in os.environ:
        with open(os.environ[LOG_KEY], "a", encoding="utf-8") as file:
            file.write(json.dumps(facts) + "\n")


@dataclass(frozen=True)
class Spec:
    """A layer for the reference implementation."""

    weight: np.ndarray
    bias: np.ndarray | None
    stride: int
    padding: int
    threshold: int
    exponent: int = 6
    groups: int = 1


class Pipe:
    """Both ends of a channel between the program and a process on the host."""

    def __init__(self, shape: tuple) -> None:
        self.shape, self._queue = tuple(shape), queue.Queue()

    def send(self, data: np.ndarray) -> None:
        need(isinstance(data, np.ndarray) and data.shape == self.shape, f"data for a port of {self.shape}")
        self._queue.put(np.array(data))

    def recv(self) -> np.ndarray:
        return self._queue.get()


class Board:
    """A runtime as Lava's processes use it: start, wait, stop."""

    def __init__(self, injector: Injector, run_cfg: Loihi2HwCfg) -> None:
        from regionmask_ros.engine.reference import ReferenceLayer

        self.steps_of_run, self._callbacks = 0, run_cfg.callback_fxs
        need(all(type(callback) in PROFILERS for callback in self._callbacks), "callback_fxs: profilers only")
        self._graph = read_graph(injector, run_cfg.exception_proc_model_map)
        shape = self._graph.shape
        self._layers = []
        for spec in self._graph.specs:
            self._layers.append(ReferenceLayer(spec, shape, "lava"))
            shape = self._layers[-1].out_shape
        self._into, self._out = Pipe(injector.out_port.shape), Pipe(self._graph.extractor.in_port.shape)
        injector.in_port.external_pipe_csp_send_port = self._into
        self._graph.extractor.out_port.external_pipe_csp_recv_port = self._out
        self._arrived: list[np.ndarray | None] = [None] * len(self._layers)
        self._encoder, self._encoded = np.zeros(self._graph.shape, np.int64), None
        self._thread: Any = None
        self._stopping, self._failure = threading.Event(), None
        log(event="compiled", variables={name: os.environ.get(name) for name in VARIABLES}, **self._graph.facts)

    def start(self, condition: RunSteps) -> None:
        need_type(condition, RunSteps, "run condition")
        need(not condition.blocking and condition.num_steps > 0, "run condition: some steps, not blocking")
        need(self._thread is None, "run: the last run is not complete")
        need(not self._stopping.is_set(), "run: after stop")
        self.steps_of_run = condition.num_steps
        for callback in self._callbacks:
            callback.pre_run_callback(self, {})
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def wait(self) -> None:
        self._thread.join()
        self._thread = None
        if self._failure is not None:
            raise self._failure
        if not self._stopping.is_set():
            for callback in self._callbacks:
                callback.post_run_callback(self, {})

    def stop(self) -> None:
        """Waits, like the real one, for the current step, which waits for events."""
        self._stopping.set()
        thread = self._thread
        if thread is not None:
            thread.join()
        log(event="stopped")

    def _run(self) -> None:
        try:
            for _ in range(self.steps_of_run):
                self._step()
                if self._stopping.is_set():
                    return
        except Exception as error:  # noqa: BLE001
            self._failure = error if isinstance(error, Misused) else Misused(repr(error))

    def _step(self) -> None:
        """Each layer sends what it received in the step before, then receives what is sent in this step."""
        sent = [layer.step(message) for layer, message in zip(self._layers, self._arrived)]
        self._arrived = [self._from_host(), *sent[:-1]]
        self._out.send(sent[-1].transpose(1, 0, 2).astype(float))

    def _from_host(self) -> np.ndarray | None:
        data = self._into.recv().transpose(1, 0, 2).astype(np.int64)
        if self._graph.encoder is None:
            return data
        sends, change = self._encoded, data - self._encoder
        threshold, spike_exp = self._graph.encoder
        events = np.clip(np.where(np.abs(change) >= threshold, change, 0), -128, 127)
        self._encoder = self._encoder + events
        self._encoded = events << spike_exp
        return sends


@dataclass(frozen=True)
class Graph:
    """``shape``: (rows, cols, channels). ``encoder``: its (threshold, spike_exp), None without an encoder."""

    shape: tuple[int, int, int]
    specs: list[Spec]
    encoder: tuple[int, int] | None
    extractor: Extractor
    facts: dict[str, Any]


def read_graph(injector: Injector, models: dict) -> Graph:
    """Follows the connections from the injector. Raises Misused for a graph that a board could not run."""
    cols, rows, channels = injector.out_port.shape
    first, link = only_target(injector.out_port)
    facts: dict[str, Any] = {}
    if isinstance(first.process, DeltaEncoder):
        need(models == {DeltaEncoder: PyDeltaEncoderModelSparse}, f"models for adapters: {models}")
        need(link is None, "a link between injector and encoder")
        source, encoder, facts = read_encoder(first.process)
    else:
        wanted = {Injector: PyLoihiInjectorModelAsync, Extractor: PyLoihiExtractorModelAsync}
        need(models == wanted, f"models for ethernet: {models}")
        source, encoder = injector.out_port, None
        facts = {"link": read_link(link)}
    specs, head = read_layers(source, direct=encoder is None)
    extractor = read_end(head, link)
    return Graph((rows, cols, channels), specs, encoder, extractor, facts)


def only_target(port: Any) -> tuple[Any, Any]:
    """(the only port that it is connected to, configuration of the link or None)."""
    need(len(port.out_connections) == 1, f"{port.name} of {port.process} goes to {len(port.out_connections)} ports")
    target = port.out_connections[0]
    need(tuple(target.shape) == tuple(port.shape), f"{port.shape} is connected to {target.shape}")
    return target, port.connection_configs.get(target)


def read_encoder(encoder: DeltaEncoder) -> tuple[Any, tuple[int, int], dict[str, Any]]:
    need(int(encoder.spike_exp.init) == 0, "DeltaEncoder: the adapter scales, so spike_exp must be 0")
    need((int(encoder.a_min.init), int(encoder.a_max.init)) == (-128, 127), "DeltaEncoder: events of 8 bits only")
    adapter = only_target(encoder.s_out)[0].process
    need_type(adapter, PyToN3ConvAdapter, "what the encoder sends to")
    compression = encoder.proc_params["compression"]
    need(adapter.proc_params["compression"] is compression, "encoder and adapter compress in different ways")
    need(adapter.proc_params["num_message_bits"] == 16, "PyToN3ConvAdapter: graded events have 16 bits")
    need(compression.name != "DENSE", "the sparse model of the encoder has no dense compression")
    spike_exp = adapter.proc_params["spike_exp"]
    return adapter.out, (int(encoder.vth.init), spike_exp), {"compression": compression.name, "spike_exp": spike_exp}


def read_link(link: Any) -> dict[str, Any]:
    need_type(link, ConnectionConfig, "the link")
    need(link.interface is SpikeIOInterface.ETHERNET, "the link's interface")
    need(link.spike_io_mode is SpikeIOMode.FREE_RUNNING, "the link's mode")
    for name in ("ethernet_interface", "ethernet_mac_address", "loihi_mac_address"):
        need_type(getattr(link, name), str, f"the link's {name}")
    need_type(link.ethernet_chip_idx, int, "the link's ethernet_chip_idx")
    chip = link.ethernet_chip_id
    need(type(chip) is tuple and len(chip) == 3 and all(type(n) is int for n in chip), "the link's ethernet_chip_id")
    return {"interface": link.ethernet_interface, "mac": link.ethernet_mac_address, "loihi": link.loihi_mac_address,
            "chip": list(chip), "index": link.ethernet_chip_idx}


def read_layers(source: Any, direct: bool) -> tuple[list[Spec], Sigma]:
    specs, neuron = [], None
    while neuron is None or isinstance(neuron, SigmaDelta):
        target, link = only_target(source)
        need((link is not None) == (direct and not specs), "a link belongs to the first and the last connection")
        synapse = target.process
        need_type(synapse, Conv, "a synapse")
        neuron = only_target(synapse.a_out)[0].process
        specs.append(read_layer(synapse, neuron))
        source = neuron.s_out
    need_type(neuron, Sigma, "the head's neuron")
    return specs, neuron


def read_layer(synapse: Conv, neuron: Any) -> Spec:
    weight, given = synapse.proc_params["weight"], synapse.proc_params
    need_type(weight, np.ndarray, "Conv: weight")
    need(weight.dtype == np.int32 and weight.ndim == 4, f"Conv: weight is {weight.dtype} {weight.shape}")
    need(-256 <= weight.min() and weight.max() <= 254 and not (weight % 2).any(), "Conv: even weights of 8 bits only")
    need(given["num_message_bits"] == 16 and given["weight_exp"] == 0, "Conv: graded events, no weight exponent")
    (stride, same), (padding, alike) = given["stride"], given["padding"]
    need(stride == same and padding == alike and given["dilation"] == 1, "Conv: its geometry")
    groups = given["groups"]
    need(type(groups) is int and weight.shape[3] * groups == synapse.input_shape[2], "Conv: channels of a group")
    kernel = weight.transpose(0, 3, 2, 1)[:, :, ::-1, ::-1].astype(np.int64)
    if isinstance(neuron, Sigma):
        return Spec(kernel, None, stride, padding, 0, groups=groups)
    need_type(neuron, SigmaDelta, "a neuron")
    params = neuron.proc_params
    need(params["act_mode"] is ActivationMode.RELU and not params["cum_error"], "SigmaDelta: ReLU, no sums of errors")
    need(params["spike_exp"] == 4 and params["state_exp"] in range(10), "SigmaDelta: spike_exp 4, state_exp 0 to 9")
    bias = params["bias"]
    need(bias.dtype == np.int32 and (bias == bias[0, 0]).all(), "SigmaDelta: one int32 bias a channel")
    return Spec(kernel, bias[0, 0], stride, padding, int(params["vth"]), int(params["state_exp"]), groups)


def read_end(head: Sigma, link: Any) -> Extractor:
    if link is not None:
        target, out = only_target(head.s_out)
        need(out is link, "output and input have different links")
        need_type(target.process, Extractor, "what the head sends to")
        return target.process
    need(not head.s_out.out_connections, "the head must not send, because its state is read")
    readers = [reader for reader in ReadConv.made if reader.read is head.sigma]
    need(len(readers) == 1, f"{len(readers)} processes read the head's state")
    target, _ = only_target(readers[0].out)
    need_type(target.process, Extractor, "what reads the head")
    return target.process
