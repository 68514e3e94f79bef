"""One run of ``distill``: it labels pictures, trains, and writes checkpoint, curves, facts and the network."""

from __future__ import annotations

import contextlib
import hashlib
import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import UserError, to_one_line
from ...files.outputs import write_json, write_whole
from ...network.cards import FACTS_NAME, store_chain, store_network
from ...network.chain import Network, YoloHead
from ...network.dense import DenseNetwork, HeadSpec, Preprocessing
from ...network.formats.chain_file import pack_chain
from ...network.onnx.reading import load_onnx_package
from ...progress import Progress
from ...sources import Reading
from ...tiles.onnx_model import find_model
from ..quantization.detecting import Detector
from ..training.checkpoint import defer_interrupts, load_checkpoint, save_checkpoint
from ..training.curves import Curve, draw_curves
from . import chain
from .chain_finder import ChainFinder, choose_thresholds, measure_sizes
from .graph_model import GraphModel
from .guide import Guide, can_guide
from .judge import choose_judged, judge
from .pictures import Collection, read_collection
from .quantizing import quantize
from .rewrite import make_event_friendly, set_weights
from .street import PREPROCESSING, SHARES, STRIDES, build_street
from .teacher import Teachers
from .trainer import Plan, Trainer

CHECKPOINT, CURVES, CACHE = "checkpoint.npz", "curves.png", "labels"
"""Names in the output folder, beside ``FACTS_NAME``."""

SAME, STREET, CHAIN = "same", "street", "chain"
STUDENTS = (STREET, SAME, CHAIN)
RATES = {STREET: 5e-2, SAME: 6e-3, CHAIN: 2e-2}
HINT_WEIGHTS = {STREET: 0.5, SAME: 2.0, CHAIN: 0.0}
PATIENCE, WORTH = 4, 0.3
"""Evaluations without a gain of so many points, after which the training ends early."""


@dataclass(frozen=True)
class Order:
    """What the user wants.

    Attributes:
        teachers: The teachers; the first one is the one that ``same`` starts from.
        sources: Videos, folders of images or bags.
        student: One of ``STUDENTS``.
        name: Of the network that is made.
        classes: Of ``street`` and ``chain``.
        grid: Of the weights.
        steps: In all.
        batch: Samples in a step.
        every: Of the frames of a video, one of so many is used.
        look_every: Steps between evaluations.
        seed: Of weights and samples.
        folder: For checkpoint, labels, curves and facts.
        backend: Name of the dense backend.
    """

    teachers: tuple[DenseNetwork, ...]
    sources: tuple[str, ...]
    student: str
    name: str
    classes: tuple[str, ...]
    grid: str
    steps: int
    batch: int
    every: int
    look_every: int
    seed: int
    folder: Path
    backend: str


class DistillationSession:
    """A training with its files.

    Args:
        order: What is trained.
        base: YOLO-KP, from whose layers ``street`` and ``chain`` start; None: from nothing.
        resume: Whether to continue from the checkpoint in the folder.
        reading: How images are read; None: as by default.

    Raises:
        UserError: A source or a teacher cannot be used, or the training cannot be resumed.
    """

    def __init__(self, order: Order, base: Network | None, resume: bool, reading: Reading | None = None) -> None:
        self._order, self._reading = order, reading or Reading()
        if resume and not (order.folder / CHECKPOINT).exists():
            raise UserError(f"{order.folder / CHECKPOINT}: no such file; start the training without --resume")
        self._student = student = _prepare(order, base)
        teachers = Teachers(order.teachers, student.labels, order.backend)
        try:
            self._collection: Collection = read_collection(
                order.sources, order.every, teachers, order.folder / CACHE, self._reading)
        finally:
            teachers.close()
        self._judged = choose_judged(self._collection.held_out)
        grid = chain.GRIDS[order.grid] if order.student == CHAIN else order.grid
        plan = Plan(order.steps, order.batch, order.seed, grid, RATES[order.student], HINT_WEIGHTS[order.student],
                    with_labels=order.student != SAME)
        self._trainer = Trainer(plan, student.graph, self._collection.learned, student.preprocessing, student.strides,
                                student.guide, order.student == SAME, student.shares, student.anchors)
        self._events: dict[str, Any] = {}
        self._looks: list[tuple[int, float]] = []
        self._seconds = 0.0
        if resume:
            self._resume()
        self._began = time.process_time() - self._seconds

    @property
    def step(self) -> int:
        """Number of steps done."""
        return self._trainer.step

    def run(self) -> DenseNetwork | Network:
        """Trains to the end, evaluates and saves every ``look_every`` steps, and stores the network.

        Returns:
            The network.
        """
        trainer, order = self._trainer, self._order
        with Progress(initial=trainer.step, total=order.steps, unit="step") as progress:
            while trainer.step < trainer.last_step:
                with defer_interrupts():
                    loss = trainer.advance()
                progress.update()
                if trainer.step % order.look_every == 0 or trainer.step == trainer.last_step:
                    agreement = self._look()
                    progress.write(f"step {trainer.step}: loss {loss:.3f}, agreement with the teacher {agreement:.1f}")
                    sys.stdout.flush()
        network: DenseNetwork | Network
        if self._student.start is not None:
            network = quantize(self._network(self._student.start), self._collection)
            stored = store_network(network)
        else:
            network = self._make_chain()
            stored = store_chain(order.name, pack_chain(network, f"chain, taught by {_taught_by(order)}"))
        for folder in (stored.parent, order.folder):
            write_json(folder / FACTS_NAME, self._facts())
        for path in (stored, *(order.folder / name for name in (FACTS_NAME, CURVES, CHECKPOINT))):
            print(f"  {path}")
        return network

    def save(self) -> None:
        """Writes the checkpoint and, after the first evaluation, the curves and the facts."""
        self._seconds = time.process_time() - self._began
        folder = self._order.folder
        # No agreement (nan) is -1 in the file, which holds finite numbers only.
        looks = np.nan_to_num(np.array(self._looks, np.float64).reshape(-1, 2), nan=-1.0)
        save_checkpoint(folder / CHECKPOINT, {**self._trainer.state(), "history.looks": looks,
                                              "seconds": np.array(self._seconds)})
        if self._looks:
            steps, agreements = zip(*self._looks)
            write_whole(folder / CURVES, draw_curves(
                self._trainer.losses, steps, [Curve(agreements)], "agreement with the teacher, %"))
            write_json(folder / FACTS_NAME, self._facts())

    def _look(self) -> float:
        agreement = self._judge()
        self._looks.append((self._trainer.step, agreement))
        earlier, late = [value for _, value in self._looks[:-PATIENCE]], [value for _, value in self._looks[-PATIENCE:]]
        if earlier and max(late) < max(earlier) + WORTH:
            self._trainer.stop_early()
        self.save()
        return agreement

    def _judge(self) -> float:
        start, head = self._student.start, self._student.anchors
        if start is not None:
            network = self._network(start)
            return judge(lambda size: Detector(network, size, self._order.backend), self._judged, network.alignment,
                         network.fixed_wh)
        assert head is not None
        finder = ChainFinder(self._model(), head, self._student.preprocessing)
        return judge(lambda _: finder, self._judged, chain.STRIDE)

    def _network(self, start: DenseNetwork) -> DenseNetwork:
        model = set_weights(self._student.graph, self._trainer.weights()).SerializeToString()
        return replace(start, model=model, sha256=hashlib.sha256(model).hexdigest())

    def _model(self) -> GraphModel:
        model = GraphModel(set_weights(self._student.graph, self._trainer.weights()))
        model.eval()
        return model

    def _make_chain(self) -> Network:
        """The student in integers, with thresholds."""
        order, labels, weights = self._order, self._student.labels, self._trainer.weights()
        sizes = measure_sizes(self._model(), self._collection.learned, self._student.preprocessing)
        grid = chain.GRIDS[order.grid]
        network, self._events = choose_thresholds(
            lambda share: chain.make_chain(order.name, labels, weights, grid, sizes, share), self._collection.held_out)
        return network

    def _resume(self) -> None:
        path, order, trainer = self._order.folder / CHECKPOINT, self._order, self._trainer
        plan = load_checkpoint(path, {name: np.array(0) for name in (
            "step", "float_end", "steps", "seed", "batch")})
        for name, wanted in (("steps", order.steps), ("seed", order.seed), ("batch", order.batch)):
            if int(plan[name]) != wanted:
                raise UserError(f"{path}: its --{name} is {int(plan[name])}, not {wanted}: resume with the same plan")
        trainer.prepare(int(plan["step"]), int(plan["float_end"]))
        like = {**trainer.state(), "history.looks": np.zeros((0, 2)), "seconds": np.array(0.0)}
        state = load_checkpoint(path, like)
        trainer.restore(state)
        self._looks = [(int(step), float(value) if value >= 0 else math.nan) for step, value in state["history.looks"]]
        self._seconds = float(state["seconds"])

    def _facts(self) -> dict[str, Any]:
        order, trainer = self._order, self._trainer
        return {
            "name": order.name, "student": order.student, "grid": order.grid, "classes": list(self._student.labels),
            "guided": self._student.guide is not None,
            "teachers": [{"name": one.name, "sha256": one.sha256} for one in order.teachers],
            "sources": list(self._collection.names), "pictures": len(self._collection.learned),
            "held_out_pictures": len(self._judged), "steps": trainer.step, "batch": order.batch, "seed": order.seed,
            "core_minutes": round(self._seconds / 60, 1),
            "agreement": None if math.isnan(self._looks[-1][1]) else round(self._looks[-1][1], 1),
            **trainer.sparsity(self._judged), **self._events, **self._reading.dropped.as_json(),
        }


@dataclass(frozen=True)
class _Student:
    """An untrained student.

    Attributes:
        labels: Its classes.
        preprocessing: What its input expects.
        graph: ONNX ModelProto.
        strides: Of its levels.
        guide: None where only labels teach.
        shares: Rates of convolutions, see ``Trainer``.
        start: The network without its model; None for ``chain``.
        anchors: The head of ``chain``.
    """

    labels: tuple[str, ...]
    preprocessing: Preprocessing
    graph: Any
    strides: tuple[int, ...]
    guide: Guide | None = None
    shares: Mapping[str, float] | None = None
    start: DenseNetwork | None = None
    anchors: YoloHead | None = None


def _prepare(order: Order, base: Network | None) -> _Student:
    onnx = load_onnx_package()
    if order.student == CHAIN:
        if order.grid not in chain.GRIDS:
            raise UserError(f"--grid {order.grid}: the event engine computes {' or '.join(chain.GRIDS)} only, and "
                            "--student chain is for it")
        return _Student(order.classes, PREPROCESSING, chain.build_chain(order.classes, base, order.seed),
                        (chain.STRIDE,), None, None if base is None else chain.SHARES,
                        anchors=chain.chain_head(order.classes))
    if order.student == STREET:
        head = HeadSpec("yolox", len(order.classes), ("output",), STRIDES, {"raw": 1.0})
        start = DenseNetwork(order.name, b"", head, order.classes, PREPROCESSING, "images",
                             source_file=f"street, taught by {_taught_by(order)}")
        return _Student(order.classes, PREPROCESSING, build_street(len(order.classes), base, order.seed), STRIDES,
                        _find_guide(order.teachers, order.classes), None if base is None else SHARES, start)
    first = order.teachers[0]
    if first.head.family != "yolox" or not first.head.numbers.get("raw"):
        raise UserError(f"{first.name}: --student same needs a YOLOX detector with a raw head; --student street learns "
                        "from any")
    if len(order.teachers) > 1:
        raise UserError("--student same: give one teacher, which it starts from")
    teacher = onnx.load_from_string(find_model(first))
    try:
        graph, _ = make_event_friendly(teacher)
    except UserError as error:
        raise UserError(to_one_line(f"{first.name}: {error}")) from error
    start = replace(first, name=order.name, model=b"", precision="fp32",
                    source_file=f"{first.name} with rectifiers, taught by itself")
    return _Student(first.labels, first.preprocessing, graph, first.head.strides, Guide(teacher, first.preprocessing),
                    start=start)


def _taught_by(order: Order) -> str:
    return ", ".join(one.name for one in order.teachers)


def _find_guide(teachers: Sequence[DenseNetwork], classes: Sequence[str]) -> Guide | None:
    """The first teacher that can say of each cell of ``street`` what is there; None if there is none."""
    onnx = load_onnx_package()
    for one in teachers:
        if can_guide(one, STRIDES):
            with contextlib.suppress(UserError):  # an operator that cannot be trained cannot be computed either
                return Guide(onnx.load_from_string(find_model(one)), one.preprocessing,
                             [one.labels.index(name) if name in one.labels else -1 for name in classes])
    return None
