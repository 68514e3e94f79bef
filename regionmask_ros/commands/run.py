"""The work of the command ``run``, whose arguments are in ``arguments/run.py``."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Mapping, Sequence
from itertools import chain, islice, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..backends import BACKENDS, parse_options
from ..core.option_table import OPTIONS
from ..core.options import Value
from ..core.result import StepResult
from ..errors import UserError
from ..files.outputs import Outputs, encode_json
from ..fleet.places import is_many
from ..importing.opening import name_network, open_network
from ..mask.region_age import drop_unobserved
from ..metrics.loihi2 import REFERENCE_INPUT_WH, allocate, modelled_table
from ..network.branched import BranchedNetwork
from ..network.dense import AnyNetwork, DenseNetwork
from ..pipeline.pipeline import Pipeline
from ..pipeline.settings import PipelineSettings, make_settings
from ..progress import Progress
from ..report.against import describe_saved
from ..report.images import ImageSampler
from ..report.overlay import Overlay, caption_line
from ..report.page import write_page
from ..report.rerun import ENDING, RerunLog
from ..report.run_page import SIDES, FrameRecord, embed_video, record_of, run_page, summarize
from ..report.twin import Twin, twin_settings
from ..report.video_file import VideoWriter
from ..report.writers import DetectionsCsv, HeadDump
from ..sources import Source, VideoFile, open_source
from ..sources.bag import BagImages
from ..sources.pictures.jpeg_decoders import MISSING, jpeg_decoder
from ._cli import command_main, format_command, parse_pairs, read_backend_options
from ._effects import check_masks, check_network
from ._fleet import wants_fleet
from ._output import make_folder
from ._parser import given_options, print_note
from ._pictures import make_reading, report_dropped
from ._run_many import run_many

if TYPE_CHECKING:
    import numpy as np

REPORT = "report.html"


def run(args: argparse.Namespace) -> int:
    """Runs the command. Returns the exit status."""
    if args.max_frames is not None and args.max_frames < 1:
        raise UserError(f"--max-frames {args.max_frames}: must be 1 or more")
    if args.loop and args.max_frames is None:
        raise UserError("--loop: the source repeats without end: set --max-frames")
    if args.rerun and not args.rerun.endswith(ENDING):
        raise UserError(f"--rerun {args.rerun}: the file name must end with {ENDING}")
    values = _read_values(args)
    if wants_fleet(args) or is_many(args.sources):
        return run_many(args, values)
    args.source = args.sources[0]
    settings = make_settings(values)
    network = open_network(name_network(values, bool(args.loihi2_table)))
    settings = settings.for_network(network)
    _check_network(args, network, settings, values)
    unmasked = twin_settings(values, settings).for_network(network) if args.against else None
    if args.loihi2_table:
        _check_loihi2_table(settings, network)
    compressed = args.image_transport == "compressed"
    inputs = (args.source, args.static_mask, args.network_file)
    reading = make_reading(args)
    with open_source(args.source, args.topic, only_compressed=compressed, reading=reading) as source, \
            Outputs(inputs) as outputs:
        if "image_transport" in given_options(args) and not isinstance(source, BagImages):
            raise UserError(f"--image-transport {args.image_transport}: {source.name} is no bag; leave it out")
        if not (isinstance(source, VideoFile) or jpeg_decoder().sees_damage):
            print_note(MISSING)
        if settings.input_size == "auto":
            # Fixed by the first image, so that heads and masks of a folder with several sizes have one shape.
            settings = settings.fix_input(source.size_wh, network)
            unmasked = unmasked and unmasked.fix_input(source.size_wh, network)
        with contextlib.closing(Pipeline(network, settings)) as pipeline:
            summary = _process(args, source, pipeline, unmasked, outputs)
        written = outputs.commit()
    _print_summary(summary, written)
    return report_dropped(reading, args)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command with these arguments, or those of the process. Returns the exit status."""
    return command_main("run", argv)


def _read_values(args: argparse.Namespace) -> dict[str, Value]:
    """A value for every option of the table; UserError for options that contradict each other."""
    values: dict[str, Any] = {name: getattr(args, name) for name in OPTIONS}
    given = given_options(args)
    if "static_mask" in given and "mask_mode" not in given:
        values["mask_mode"] = "preset+static"
    check_masks(given, values)
    return {**values, **read_backend_options(args.backend, parse_pairs(args.backend_option))}


class _Recorder:
    """Writes the results frame by frame, and keeps a small record of each."""

    def __init__(self, args: argparse.Namespace, outputs: Outputs, network: AnyNetwork, fps: float,
                 unmasked: PipelineSettings | None, stack: contextlib.ExitStack) -> None:
        """Opens the outputs, and the unmasked twin where it has settings. They are closed when the stack is."""
        def place(name: str) -> str:
            return os.path.join(args.output, name)

        def open_video(name: str) -> VideoWriter:
            self.videos[name] = outputs.file(place(name))
            return stack.enter_context(VideoWriter(self.videos[name], fps, name=place(name)))

        self.labels = network.labels
        self._drop_stale = args.stale_detections == "drop"
        self.records: list[FrameRecord] = []
        self.samples = ImageSampler()
        self.videos: dict[str, str] = {}
        self._overlay = Overlay(network.labels)
        self.report_path = outputs.file(place(REPORT))
        self._table = stack.enter_context(DetectionsCsv(outputs.file(place("detections.csv")), network.labels))
        self._video = self._heads = self._rerun = self.twin = None
        if not args.no_video:
            self._video = open_video("annotated.mp4")
        if unmasked:
            both = None if args.no_video else open_video("comparison.mp4")
            self.twin = stack.enter_context(Twin(network, unmasked, both))
        if args.dump_head:
            self._heads = stack.enter_context(HeadDump(outputs.file(args.dump_head)))
        if args.rerun:
            self._rerun = stack.enter_context(RerunLog(outputs.file(args.rerun), args.rerun))

    def add(self, result: StepResult) -> None:
        """Adds the result of the next frame."""
        if self._drop_stale:
            result = drop_unobserved(result)
        self._table.add(result.index, result.frame.stamp_ns, result.detections)
        if self._heads:
            self._heads.add(result.head, ~result.mask.keep)
        if self._rerun:
            self._rerun.add(result, self.labels)
        drawn = self._draw(result)
        if self.twin:
            self.twin.add_masked(result.index, result.detections, drawn)
        self.records.append(record_of(result))

    def _draw(self, result: StepResult) -> np.ndarray | None:
        """The annotated image, for the video or, without one, as a sample for the page; None where nobody needs it."""
        mask = result.mask
        # Good samples show objects, and a mask rather than a refresh frame.
        rank = min(len(result.detections), 6) + (not mask.refresh)
        if not (self._video or self.samples.wants(result.index, rank)):
            return None
        caption = caption_line(mask.masked_share, result.counts, result.ms["total"], result.mask_text,
                               result.tile_counts)
        image = self._overlay.draw(result, caption)
        if self._video:
            self._video.add(image)
        else:
            self.samples.add(result.index, rank, f"frame {result.index}", image)
        return image


def _process(args: argparse.Namespace, source: Source, pipeline: Pipeline, unmasked: PipelineSettings | None,
             outputs: Outputs) -> dict[str, Any]:
    make_folder(outputs, args, "run")
    json_path = outputs.file(args.json) if args.json else ""
    table_path = outputs.file(args.loihi2_table) if args.loihi2_table else ""
    with contextlib.ExitStack() as stack:
        recorder = _Recorder(args, outputs, pipeline.network, source.fps, unmasked, stack)
        twin = recorder.twin
        for frame in stack.enter_context(_frames(args, source)):
            for result in pipeline.process(frame, want_events=bool(args.rerun)):
                recorder.add(result)
            if twin:
                twin.process(frame)
        for result in pipeline.drain():
            recorder.add(result)
        if twin:
            twin.drain()
    summary = {**summarize(recorder.records), **_facts(pipeline), **source.reading.dropped.as_json(),
               **source.facts()}
    if twin:
        summary["against"] = twin.summary(summary)
    _write_report(args, source, recorder, summary)
    if json_path:
        Path(json_path).write_bytes(encode_json(summary))
    if table_path:
        Path(table_path).write_bytes(encode_json(_loihi2_table(pipeline, recorder.records)))
    return summary


def _frames(args: argparse.Namespace, source: Source) -> Progress:
    """The frames to process, with a progress bar. Each pass of a loop resets the pipeline, as its stamps jump back."""
    most = min(args.max_frames or sys.maxsize, sys.maxsize)
    total = min((None if args.loop else source.frame_count) or sys.maxsize, most)
    passes = repeat(source) if args.loop else (source,)
    frames = chain.from_iterable(one.frames() for one in passes)
    return Progress(
        islice(frames, most), total=None if total == sys.maxsize else total, unit="frame", desc=source.name)


def _check_network(args: argparse.Namespace, network: AnyNetwork, settings: PipelineSettings,
                   values: Mapping[str, Value]) -> None:
    """Raises UserError for an option that means nothing for the network."""
    check_network(given_options(args), values, settings)
    if settings.is_dense and args.loihi2_table:
        raise UserError(f"--loihi2-table {args.loihi2_table}: only for sigma-delta networks")
    if args.dump_head and (settings.is_dense or isinstance(network, BranchedNetwork)):
        raise UserError(f"--dump-head {args.dump_head}: only for sigma-delta networks whose head is one array")


def _check_loihi2_table(settings: PipelineSettings, network: AnyNetwork) -> None:
    """Raises UserError if the cost will not be measured and cannot be modeled."""
    if getattr(parse_options(settings.backend, settings.backend_options), "profile", False):
        return
    if not BACKENDS[settings.backend].counts_synops:
        raise UserError(f"--loihi2-table: backend {settings.backend} counts no synops, and measures nothing without "
                        "--loihi2-profile true; or use backend cpu with --arithmetic lava")
    if isinstance(network, DenseNetwork) or allocate(network, REFERENCE_INPUT_WH) is None:
        raise UserError(f"--loihi2-table: the placement of network {network.name} on the chip is not known")


def _loihi2_table(pipeline: Pipeline, records: Sequence[FrameRecord]) -> Mapping[str, Any]:
    if pipeline.profile is not None:
        return pipeline.profile
    assert pipeline.input_size is not None, "a frame was processed"
    assert not isinstance(pipeline.network, DenseNetwork), "_check_loihi2_table has refused it"
    allocation = allocate(pipeline.network, pipeline.input_size)
    assert allocation is not None, "_check_loihi2_table has refused other networks"
    return modelled_table(allocation, [record.counts.synops for record in records if record.counts])


def _facts(pipeline: Pipeline) -> dict[str, Any]:
    settings, network = pipeline.settings, pipeline.network
    width, height = pipeline.input_size or (0, 0)
    return {
        "input_size": f"{width}x{height}",
        "network": network.name,
        "network_file": network.source_file,
        "backend": settings.backend,
        "kernels": pipeline.kernels,
        "latency_steps": pipeline.latency_steps,
        "arithmetic": settings.arithmetic or None,
        "thresholds": settings.thresholds or None,
        "mask": settings.mask_name,
        "target_masked": settings.target_masked,
        "refresh_period": pipeline.refresh_period,
        "restart_period": settings.restart_period,
        "version": __version__,
        **({} if pipeline.profile is None else {"profile_measured": pipeline.profile}),
    }


def _write_report(args: argparse.Namespace, source: Source, recorder: _Recorder, summary: dict[str, Any]) -> None:
    name = next(reversed(recorder.videos), "")
    video = embed_video(recorder.videos[name], SIDES if recorder.twin else None, name) if name else None
    comparison = recorder.twin.comparison if recorder.twin else None
    write_page(recorder.report_path, run_page(
        source.name, summary, recorder.records, video, comparison, recorder.samples.images(),
        format_command("run", args.argv), __version__))


def _print_summary(summary: dict[str, Any], written: Sequence[str]) -> None:
    ms, synops, share = summary["ms"]["total"], summary["synops_per_frame"], summary["mac_share"]
    print(
        f"{summary['frames']} frames at {summary['input_size']}, {summary['detections']} detections, "
        f"{summary['masked_share']:.0%} of the regions masked, "
        f"{'' if synops is None else f'{synops / 1e6:.1f} M synops and '}"
        f"{'' if share is None else f'{share:.1%} of the dense MACs and '}{ms['median']:.1f} ms a frame")
    twin = summary.get("against")
    if twin:
        print(f"against the unmasked twin: {describe_saved(twin)} saved, {twin['missed']} of "
              f"{twin['found'] + twin['missed']} detections missed, {ms['median']:.1f} ms instead of "
              f"{twin['ms']['total']['median']:.1f} ms a frame")
    for path in written:
        print(f"  {path}")
    print(f"open {next(path for path in written if os.path.basename(path) == REPORT)}")
