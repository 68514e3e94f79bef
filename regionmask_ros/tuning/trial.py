"""One vector of thresholds tried: what it costs, and how far it is from the dense network."""

from __future__ import annotations

import contextlib
import time
from dataclasses import asdict, dataclass
from typing import Any, Mapping, Sequence

import numpy as np

from ..engine.arithmetic import CARRY
from ..metrics.loihi2_model import allocate, even_cost
from ..network.spec import Network
from ..network.thresholds import with_thresholds
from ..pipeline import Pipeline, PipelineSettings
from .agreement import SCORED_ABOVE, Truth, average_precision, head_error, matches
from .stretches import Stretch

LEAST_OBJECTS = 20
"""A clip in which the dense network sees fewer says nothing about agreement."""


@dataclass(frozen=True)
class ClipFigures:
    """Of one clip. edp_js: modelled, synops spread evenly. synops, events: counted, of the encoder and all layers.
    cpu_ms: of the pipeline. All a frame.

    agreement: average precision against the dense network, 0 to 100; None where that sees next to nothing.
    head_rms: root of the mean squared difference of the head from the dense one.
    """

    edp_js: float
    synops: float
    events: float
    cpu_ms: float
    agreement: float | None
    head_rms: float


@dataclass(frozen=True)
class Outcome:
    """By clip."""

    clips: Mapping[str, ClipFigures]

    @property
    def disagreement(self) -> float:
        """100 minus the mean agreement of the clips: points of average precision."""
        return 100.0 - float(np.mean([c.agreement for c in self.clips.values() if c.agreement is not None]))

    @property
    def head_rms(self) -> float:
        return float(np.mean([c.head_rms for c in self.clips.values()]))

    def gain(self, over: Outcome, figure: str) -> float:
        """Geometric mean over the clips: how many times less than ``over``.

        figure: ``edp_js``, ``synops``, ``events`` or ``cpu_ms``.
        """
        ratios = [getattr(over.clips[name], figure) / getattr(mine, figure) for name, mine in self.clips.items()]
        return float(np.exp(np.mean(np.log(ratios))))

    def as_json(self) -> dict[str, Any]:
        return {name: asdict(figures) for name, figures in self.clips.items()}

    @classmethod
    def of_json(cls, content: Mapping[str, Any]) -> Outcome:
        """Raises TypeError or AttributeError when that is none."""
        return cls({name: ClipFigures(**figures) for name, figures in content.items()})


class Footage:
    """Stretches and what the dense network says about them; trials run on these."""

    def __init__(self, network: Network, stretches: Sequence[Stretch], truths: Sequence[Sequence[Truth]],
                 preset: str = "") -> None:
        """preset: what masks while the thresholds are tried, "" for nothing."""
        self._network, self._stretches, self._truths, self._preset = network, stretches, truths, preset

    def trained(self) -> Outcome:
        """What everything is compared with: trained thresholds and ``carry``, the same masks."""
        return self._run(self._network, CARRY)

    def trial(self, thresholds: Mapping[str, int], arithmetic: str, input_step: int) -> Outcome:
        """input_step: see ``network.thresholds``."""
        return self._run(with_thresholds(self._network, thresholds, input_step), arithmetic)

    def _run(self, network: Network, arithmetic: str) -> Outcome:
        settings = PipelineSettings(arithmetic=arithmetic, thresholds="trained", preset=self._preset,
                                    score_threshold=SCORED_ABOVE)
        names = list(dict.fromkeys(stretch.name for stretch in self._stretches))
        return Outcome({name: self._clip(network, settings, name) for name in names})

    def _clip(self, network: Network, settings: PipelineSettings, name: str) -> ClipFigures:
        costs, synops, events, cpu_ms, found, errors = [], [], [], [], [], []
        with contextlib.closing(Pipeline(network, settings)) as pipeline:
            for stretch, truths in zip(self._stretches, self._truths):
                if stretch.name != name:
                    continue
                pipeline.reset()
                allocation = allocate(network, stretch.frames[0].size_wh)
                for number, (frame, truth) in enumerate(zip(stretch.frames, truths)):
                    start = time.thread_time()
                    (result,) = pipeline.process(frame)
                    elapsed_s = time.thread_time() - start
                    found += matches(result.detections, truth)
                    errors.append(head_error(result.head, truth))
                    # A first frame sends everything, whatever the thresholds.
                    if number:
                        costs.append(even_cost(allocation, result.counts.synops))
                        synops.append(result.counts.total_synops)
                        events.append(result.counts.events)
                        cpu_ms.append(elapsed_s * 1e3)
        objects = sum(one.objects for one in found)
        return ClipFigures(
            float(np.mean([c.energy_j for c in costs]) * np.mean([c.latency_s for c in costs])),
            float(np.mean(synops)), float(np.mean(events)), float(np.mean(cpu_ms)),
            average_precision(found) if objects >= LEAST_OBJECTS else None, float(np.sqrt(np.mean(errors))),
        )
