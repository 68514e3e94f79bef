"""The demo's frames once more, without ROS: through the unmasked twin, and the masked pipeline for its counts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from ...core.frame import Frame
from ...core.option_table import OPTIONS
from ...core.options import Value
from ...network.dense import AnyNetwork
from ...pipeline.pipeline import Pipeline
from ...pipeline.settings import make_settings
from ...report.run_page import FrameRecord, record_of, summarize
from ...report.twin import Twin, twin_settings
from .recorded import RecordedFrame


class Replay:
    """Runs the frames that the node has answered. Context manager; leaving it closes both pipelines.

    The node publishes no counts of single frames. The same frames with the same settings and stamps give the same
    counts, so the masked pipeline is run once more for what was saved.

    Args:
        network: The network of the node.
        values: Parameters of the node that are not at their defaults.
        frames: The frames that were played, in order.
        stamps_ns: Their stamps.

    Attributes:
        twin: The unmasked twin.
    """

    def __init__(self, network: AnyNetwork, values: Mapping[str, Value], frames: Iterable[Frame],
                 stamps_ns: Iterable[int]) -> None:
        every: dict[str, Any] = {**{name: option.default for name, option in OPTIONS.items()}, **values}
        settings = make_settings(every)
        unmasked = twin_settings(every, settings).for_network(network)
        self._masked = Pipeline(network, settings)
        self.twin = Twin(network, unmasked)
        self._played: Iterator[tuple[Frame, int]] = zip(frames, stamps_ns)
        self._records: list[FrameRecord] = []
        self._stack = ExitStack()

    def __enter__(self) -> Replay:
        self._stack.enter_context(self.twin)
        self._stack.callback(self._masked.close)
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def add(self, index: int, recorded: RecordedFrame) -> None:
        """Takes the next answered frame; frames that were played before it and not answered are left out.

        Args:
            index: Its number in the bag.
            recorded: What the node has published for it.
        """
        stamp_ns = recorded.stamp_ns
        frame = next((frame for frame, stamp in self._played if stamp == stamp_ns), None)
        if frame is None:
            return
        frame = replace(frame, stamp_ns=stamp_ns)
        self._records += map(record_of, self._masked.process(frame))
        self.twin.add_masked(index, recorded.detections, recorded.overlay)
        self.twin.process(frame)

    def summary(self) -> dict[str, Any]:
        """What summary.json has under ``against``, see ``report.against.compare_runs``."""
        return self.twin.summary(summarize(self._records))
