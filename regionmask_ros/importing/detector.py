"""From an ONNX file to a dense network."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..backends.runtimes import run_once
from ..detection.heads.finding import AUTO, find_head
from ..errors import InvalidFile, UserError, to_one_line
from ..network.dense import DenseNetwork, GraphFacts, HeadSpec, Preprocessing
from ..network.labels import COCO_WORD, choose_labels, names_in_metadata, read_labels
from ..network.onnx.facts import find_normalization, find_precision, find_producers
from ..network.onnx.focus import merge_focus
from ..network.onnx.free_size import free_size
from ..network.onnx.growth import NotFree
from ..network.onnx.interface import Interface, set_input_size, unify_interface
from ..network.onnx.reading import OnnxFile, read_onnx
from ..network.preprocessing import (
    EXAMPLE,
    IMAGENET_RGB,
    RGB_BYTES,
    RGB_ONE,
    describe_preprocessing,
    parse_preprocessing,
    usual_preprocessing,
)
from .picture import draw_scene, to_input
from .trial import Outputs, Run, Trial

_LARGEST_SIDE = 4096
_USUAL_WH = ((640, 640), (416, 416), (320, 320))
_WIDTH_HEIGHT_INPUTS = ("orig_target_sizes", "orig_size")


@dataclass(frozen=True)
class Wishes:
    """What the user gives beside the file.

    Attributes:
        name: Empty: the file's name without its ending.
        labels: "coco", a file, or empty.
        head: A family of ``HEADS``, or "auto".
        preprocess: For ``parse_preprocessing``, or empty.
    """

    name: str = ""
    labels: str = ""
    head: str = AUTO
    preprocess: str = ""


@dataclass(frozen=True)
class Imported:
    """A network, and lines for the user about what was found or guessed."""

    network: DenseNetwork
    notes: tuple[str, ...]


def import_detector(path: str | os.PathLike[str], wishes: Wishes, run: Run = run_once) -> Imported:
    """Reads an ONNX file and finds out how to use it.

    Args:
        path: The file.
        wishes: What the user knows.
        run: Runs a model once.

    Returns:
        The network.

    Raises:
        UserError: The file is damaged, is no detector that is known, or something must be given.
    """
    file = read_onnx(path)
    try:
        return _Import(file, wishes, run).finish()
    except InvalidFile as error:
        raise error.about(path) from error
    except UserError as error:
        raise UserError(to_one_line(f"{path}: {error}")) from error


def name_from_file(path: str | os.PathLike[str]) -> str:
    """The name of a network: the file's name without its ending, and without characters that names cannot have."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", Path(path).stem).lstrip(".-")[:64] or "network"


@dataclass
class _Import:
    file: OnnxFile
    wishes: Wishes
    run: Run
    notes: list[str] = field(default_factory=list)

    def finish(self) -> Imported:
        model, path = self.file.model, self.file.source_file
        interface = unify_interface(model)
        producers, inside = find_producers(model), find_normalization(model, interface.input_name)
        merge_focus(model)
        as_it_is = model.SerializeToString()
        wh, first, preprocessing, head = self._find_meaning(as_it_is, interface, producers, inside)
        trial = Trial(self.run, interface.input_name, preprocessing, head, self.file.metadata, producers)
        stored, alignment = self._free(model, interface, as_it_is, trial, wh, first)
        if head.numbers.get("open_classes") and self.wishes.labels not in ("", COCO_WORD):
            head = replace(head, num_classes=len(read_labels(self.wishes.labels)))
        labels, note = choose_labels(self.wishes.labels, self.file.metadata, head.num_classes)
        self.notes.extend(filter(None, [note, trial.compare_orders(as_it_is, wh, first)]))
        network = DenseNetwork(
            name=self.wishes.name or name_from_file(path), model=stored, head=head, labels=labels,
            preprocessing=preprocessing, input_name=interface.input_name, fixed_wh=None if alignment else wh,
            alignment=alignment or 1, source_file=os.path.abspath(path), sha256=self.file.sha256,
            precision=find_precision(model))
        return Imported(network, tuple(self.notes))

    def _find_meaning(self, model: bytes, interface: Interface, producers: Mapping[str, tuple[str, ...]],
                      inside: Preprocessing | None) -> tuple[tuple[int, int], Outputs, Preprocessing, HeadSpec]:
        """Finds a size at which the model runs, its outputs there, its preprocessing, and its head.

        The head tells the preprocessing, and it is only seen if the first run had a similar one.

        Returns:
            These four.
        """
        guesses = list(filter(None, [self._given() or inside])) or (
            [RGB_ONE] if self._is_ultralytics() else [IMAGENET_RGB, RGB_ONE, RGB_BYTES])
        reason: UserError | None = None
        wh = None
        for guess in guesses:
            if wh is None:
                wh, outputs = self._first_run(model, interface, guess)
            else:
                outputs = self.run(model, interface.input_name, to_input(draw_scene(wh), guess))
            facts = GraphFacts(self.file.metadata, producers, wh)
            try:
                head = find_head(outputs, facts, self.wishes.head)
            except UserError as error:
                reason = reason or error
                continue
            known = self._known_preprocessing(interface, inside, head)
            if known != guess:
                outputs = self.run(model, interface.input_name, to_input(draw_scene(wh), known))
                head = find_head(outputs, facts, self.wishes.head)
            return wh, outputs, known, head
        raise reason or UserError("its outputs are not understood")

    def _first_run(self, model: bytes, interface: Interface, guess: Preprocessing) -> tuple[tuple[int, int], Outputs]:
        """A size at which the network runs, and its outputs."""
        sizes = [interface.declared_wh] if interface.declared_wh else [*self._size_in_metadata(), *_USUAL_WH]
        reason: UserError | None = None
        for wh in sizes:
            try:
                return wh, self.run(model, interface.input_name, to_input(draw_scene(wh), guess))
            except UserError as error:
                reason = reason or error
        raise reason or UserError("it cannot be run")

    def _known_preprocessing(self, interface: Interface, inside: Preprocessing | None, head: HeadSpec
                             ) -> Preprocessing:
        """The preprocessing by the user's wish, the graph, the metadata, the inputs, or the family, in this order."""
        given = self._given()
        if given is not None:
            return given
        if inside is not None:
            self.notes.append(f"preprocessing: the graph normalizes its input itself, so that it expects "
                              f"{describe_preprocessing(inside)}")
            return inside
        if self._is_ultralytics() or set(interface.extra_inputs) & set(_WIDTH_HEIGHT_INPUTS):
            return RGB_ONE
        usual = usual_preprocessing(head, self.file.producer)
        if usual is not None:
            return usual
        raise UserError(f"its preprocessing is not known: give it with --preprocess, as {EXAMPLE}")

    def _given(self) -> Preprocessing | None:
        return parse_preprocessing(self.wishes.preprocess) if self.wishes.preprocess else None

    def _is_ultralytics(self) -> bool:
        metadata = self.file.metadata
        return "stride" in metadata and bool(names_in_metadata(metadata))

    def _size_in_metadata(self) -> list[tuple[int, int]]:
        numbers = [int(number) for number in re.findall(r"\d{1,5}", self.file.metadata.get("imgsz", "")[:40])]
        is_size = len(numbers) == 2 and 32 <= min(numbers) and max(numbers) <= _LARGEST_SIDE
        return [(numbers[1], numbers[0])] if is_size else []

    def _free(self, model: Any, interface: Interface, as_it_is: bytes, trial: Trial, wh: tuple[int, int],
              first: Outputs) -> tuple[bytes, int]:
        """The model to store, and the alignment of its size; 0 if its size is fixed."""
        reason = ""
        try:
            free_size(model, interface.input_name, wh)
            freed = model.SerializeToString()
            alignment, reason = trial.find_alignment(freed, wh, first)
            if alignment:
                return freed, alignment
        except NotFree as error:
            reason = str(error)
        self.notes.append(to_one_line(f"input size: fixed at {wh[0]}x{wh[1]}; {reason}"))
        fixed = type(model).FromString(as_it_is)
        set_input_size(fixed, interface.input_name, wh)
        return fixed.SerializeToString(), 0
