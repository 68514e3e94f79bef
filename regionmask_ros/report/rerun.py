"""A run as a recording for the Rerun viewer: images, boxes, masks, events and plots on a common time line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.detections import UNTRACKED, Detections
from ..core.result import StepResult
from ..errors import UserError
from ..files.outputs import PipedFile
from ..files.paths import display_path
from .images import encode_jpeg
from .overlay import keep_to_image

if TYPE_CHECKING:
    import rerun

APPLICATION = "regionmask_ros"
ENDING = ".rrd"

CAMERA, MASK, OBJECTS, EVENTS, FIGURES = "camera", "camera/mask", "camera/objects", "events", "figures"

MASKED, KEPT = 1, 2
"""Values of the mask image; the viewer shows nothing for 0."""

SHADE = (0, 0, 0, 170)
CLEAR = (0, 0, 0, 0)

FIRST_DATE_NS = 10**18
"""In 2001. Earlier stamps count from the start of a video and are no dates."""

FIGURES_OF = {
    "masked_share": "masked share, %",
    "events": "events per frame, counted",
    "synops": "synops per frame, counted",
    "mac_share": "share of the dense MACs, %, counted",
    "ms": "milliseconds per frame, measured",
}
"""Title of the plot of each value."""


class RerunLog:
    """Writes a recording, frame by frame. Time lines: ``frame`` counts from 0, ``stamp`` is that of the image.

    Args:
        path: Where to write.
        name: Name of the file in messages.
    """

    def __init__(self, path: str, name: str = "") -> None:
        self._rr, self._name = _library(), display_path(name or path)
        self._stream = self._rr.RecordingStream(APPLICATION)
        self._is_date: bool | None = None
        # On a full disk the thread of the library ends, and the library waits for it for ever: Ctrl-C does not help.
        self._file = PipedFile(path)
        self._stream.save(self._file.inlet, default_blueprint=_layout(self._rr))
        self._file.release_inlet()
        classes = [(MASKED, "masked", SHADE), (KEPT, "kept", CLEAR)]
        self._log(MASK, self._rr.AnnotationContext(classes), static=True)

    def add(self, result: StepResult, labels: tuple[str, ...]) -> None:
        """Appends one frame.

        Args:
            result: The frame and its results.
            labels: Class names by class id.
        """
        rr, found = self._rr, result.detections
        self._set_time(result.index, result.frame.stamp_ns)
        jpeg = encode_jpeg(result.frame.bgr(), max_width=result.frame.size_wh[0])
        self._log(CAMERA, rr.EncodedImage(contents=jpeg, media_type="image/jpeg"))
        kept = keep_to_image(result.mask.keep, result.frame.size_wh) > 0
        values = np.where(kept, KEPT, MASKED).astype(np.uint8)
        self._log(MASK, rr.SegmentationImage(values, opacity=1.0))
        self._log(OBJECTS, rr.Boxes2D(
            array=found.boxes, array_format=rr.Box2DFormat.XYXY, class_ids=found.class_ids.astype(np.uint16),
            labels=_texts(found, labels)))
        if result.events is not None:
            self._log(EVENTS, rr.Image(result.events))
        figures = {
            "masked_share": 100 * result.mask.masked_share,
            **({"events": result.counts.events, "synops": result.counts.total_synops} if result.counts else {}),
            **({"mac_share": 100 * result.tile_counts.totals.mac_share} if result.tile_counts else {}),
            # The time of the first frame includes opening: next to it all others would be a flat line.
            **({"ms": result.ms["total"]} if result.index else {}),
        }
        for figure, value in figures.items():
            self._log(f"{FIGURES}/{figure}", rr.Scalars(float(value)))

    def close(self) -> None:
        """Finishes the file.

        Raises:
            UserError: The file could not be written completely.
        """
        self._stream.disconnect()
        try:
            self._file.close()
        except OSError as error:
            raise UserError(f"{self._name}: not written completely: {error.strerror}") from error

    def __enter__(self) -> RerunLog:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            self.close()
        else:
            self._stream.disconnect()

    def _log(self, entity: str, content: Any, static: bool = False) -> None:
        self._rr.log(entity, content, static=static, recording=self._stream, strict=True)

    def _set_time(self, index: int, stamp_ns: int) -> None:
        rr = self._rr
        if self._is_date is None:
            self._is_date = stamp_ns >= FIRST_DATE_NS
        kind, unit = ("timestamp", np.datetime64) if self._is_date else ("duration", np.timedelta64)
        rr.set_time("frame", sequence=index, recording=self._stream)
        rr.set_time("stamp", **{kind: unit(stamp_ns, "ns")}, recording=self._stream)


def _texts(found: Detections, labels: tuple[str, ...]) -> list[str]:
    """Class, number of the track if there is one, and score of each object."""
    rows = zip(found.class_ids, found.track_ids, found.scores)
    return [f"{labels[kind]}{'' if track == UNTRACKED else f' {track}:'} {score:.2f}" for kind, track, score in rows]


def _library() -> rerun:
    try:
        import rerun
    except ImportError as error:
        fix = "run 'make rerun-setup', or: pip install 'rerun-sdk>=0.39'"
        raise UserError(f"--rerun needs rerun-sdk, which cannot be imported ({error}): {fix}") from None
    return rerun


def _layout(rr: rerun) -> rerun.blueprint.Blueprint:
    """The camera with mask and boxes, the events, and a plot for each value."""
    from rerun import blueprint as rrb

    plots = [rrb.TimeSeriesView(origin=f"{FIGURES}/{figure}", name=name) for figure, name in FIGURES_OF.items()]
    views = rrb.Vertical(
        rrb.Spatial2DView(origin=CAMERA, name="camera"), rrb.Spatial2DView(origin=EVENTS, name="events"),
        row_shares=[2, 1])
    return rrb.Blueprint(rrb.Horizontal(views, rrb.Vertical(*plots), column_shares=[3, 2]), collapse_panels=True)
