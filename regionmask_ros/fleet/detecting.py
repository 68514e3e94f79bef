"""The work of ``run`` with many sources: the detections of one unit, as a run of this source alone writes them."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..core.grid import RegionGrid
from ..errors import UserError
from ..mask.heat import compute_heat
from ..mask.region_age import drop_unobserved
from ..network.dense import AnyNetwork
from ..pipeline.pipeline import Pipeline
from ..pipeline.settings import PipelineSettings
from ..report.run_page import FrameRecord, record_of, summarize
from ..report.writers import DetectionsCsv
from .arrays import pack_array
from .calls import UnitResult
from .opening import opened
from .previews import ENDING as PREVIEW
from .previews import shrink
from .scratch import scratch_folder
from .units import ImageLimits, Unit, facts_of, frames_of, name_camera


@dataclass(frozen=True)
class Detecting:
    """What all units of a run share.

    Attributes:
        network: The network.
        settings: Of the pipeline; an input size that is not fixed follows the images of each source.
        topic: Image topic of bags.
        only_compressed: Whether the compressed images of bags are chosen.
        drop_stale: Whether detections without an observed region are dropped.
        max_frames: Largest number of frames of a source; None: all.
        limits: Of the pictures.
    """

    network: AnyNetwork
    settings: PipelineSettings
    topic: str
    only_compressed: bool
    drop_stale: bool
    max_frames: int | None
    limits: ImageLimits


def detect(job: Detecting, unit: Unit) -> UnitResult:
    """Finds objects in the images of a unit.

    Args:
        job: What all units share.
        unit: The unit.

    Returns:
        The detections, as ``csv``, a small image, and facts: counts and times of the frames, the camera, and where
        detections were.

    Raises:
        UserError: The source or the settings cannot be used.
    """
    reading = job.limits.new_reading()
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(opened(unit, job.topic, reading, job.only_compressed))
        settings = job.settings
        if settings.input_size == "auto":
            settings = settings.fix_input(source.size_wh, job.network)
        pipeline = stack.enter_context(contextlib.closing(Pipeline(job.network, settings)))
        path = stack.enter_context(scratch_folder()) / "detections.csv"
        records, heat, image = _process(job, unit, source, pipeline, path)
        if not records:
            raise UserError(f"{unit.title}: no frame that can be used")
        width, height = pipeline.input_size or (0, 0)
        facts: dict[str, Any] = {
            **facts_of(unit), "camera": name_camera(unit, source), **summarize(records),
            "seconds": (records[-1].stamp_ns - records[0].stamp_ns) * 1e-9, "input_size": f"{width}x{height}",
            "image_size": f"{source.size_wh[0]}x{source.size_wh[1]}", "backend": pipeline.settings.backend,
            "kernels": pipeline.kernels, "heat": pack_array(heat),
            **reading.dropped.as_json(), **source.facts()}
        return UnitResult(facts, {"csv": path.read_bytes(), PREVIEW: image})


def _process(job: Detecting, unit: Unit, source: Any, pipeline: Pipeline, path: Path
             ) -> tuple[list[FrameRecord], np.ndarray, bytes]:
    """Writes the detections; returns a record a frame, the heat of the detections, and a small image."""
    records: list[FrameRecord] = []
    heat: np.ndarray | None = None
    numbers: list[int] = []
    image = b""
    with DetectionsCsv(str(path), job.network.labels) as table:

        def add(results: Any) -> None:
            nonlocal heat
            for complete in results:
                result = drop_unobserved(complete) if job.drop_stale else complete
                table.add(numbers[len(records)], result.frame.stamp_ns, result.detections)
                assert pipeline.input_size is not None, "a frame was processed"
                grid = RegionGrid.near_input(pipeline.input_size)
                one = compute_heat(result.detections.boxes, grid, result.frame.size_wh)
                heat = one if heat is None else heat + one
                records.append(record_of(result))

        for number, frame in frames_of(unit, source):
            if number == job.max_frames:
                break
            image = image or shrink(frame)
            numbers.append(number)
            add(pipeline.process(frame))
        add(pipeline.drain())
    return records, heat if heat is not None else np.zeros((0, 0)), image
