"""What is wrong with the node, its camera or its surroundings, and what to do: one level and one line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus

from ..pipeline.backend_health import BackendNotice
from .callback_guard import CallbackErrors, shorten
from .camera import CameraState, explain_mixture
from .frame_stats import FrameCounts, FrameFigures

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR

INPUT_TIMEOUT_S = 3.0
"""A warning follows when no image has come for this long."""

LOSS_HINT = "give the camera's process the DDS profile for images (see README)"

MIN_MISSING = 2
"""Fewer images that seem to be missing, within some seconds, may be the camera's own irregularity."""


@dataclass(frozen=True)
class InputState:
    """Whether images are published, and come.

    Attributes:
        publishers: Number of publishers of images.
        quiet_s: Seconds since the last image, the first sight of a publisher or of its end, or the start: the latest.
        has_come: Whether an image has come since the publishers were seen.
    """

    publishers: int = 0
    quiet_s: float = 0.0
    has_come: bool = False


class InputWatch:
    """Follows publishers and images from report to report.

    Args:
        now_s: Monotonic time.
    """

    def __init__(self, now_s: float) -> None:
        self._state, self._received, self._is_published = "", 0, False
        self._since_s, self._has_come = now_s, False

    def look(self, state: str, received: int, publishers: int, now_s: float) -> InputState:
        """Notes what there is now.

        Args:
            state: Of the life cycle: an inactive node receives nothing and misses nothing.
            received: Number of images so far.
            publishers: Number of publishers.
            now_s: Monotonic time.

        Returns:
            The state of the input.
        """
        is_published, has_more = publishers > 0, received != self._received
        if state != self._state or is_published != self._is_published:
            self._has_come = False
            self._since_s = now_s
        if has_more:
            self._has_come, self._since_s = True, now_s
        self._state, self._received, self._is_published = state, received, is_published
        return InputState(publishers, now_s - self._since_s, self._has_come)


@dataclass(frozen=True)
class NodeFacts:
    """What the node knows about itself at one moment.

    Attributes:
        name: Of the status.
        state: Of the life cycle.
        topic: Where images are expected.
        transport: ``raw`` or ``compressed``.
        converter: What reads images.
        backend: Name of the current backend.
        kernels: What it computes with.
        arithmetic: Its arithmetic.
        thresholds: ``trained`` or ``tuned``.
        mask_mode: The mask or the preset.
        schedule: How long a preset's schedule is, and whether predictions hold; empty without a guard.
        network: File or name of the network.
        latency_steps: Time steps from a frame's events to its result; None before the first frame.
        profile: What was measured on hardware; None where nothing was.
        input_wh: Width and height of the network's input; None before the first frame.
        resets: How often the detector was reset.
        last_error: Why the last broken frame was dropped; empty for none.
        is_failing: Whether the detector, not the image, was the cause of that.
        opening: The backend that is opening beside the current one; empty for none.
        restarts: Number of restarts of backends that failed.
        notice: The current message about backends.
        last_notice: The last message about backends, current or not.
        errors: What callbacks have raised.
        camera: What headers say about the camera.
        mask_trouble: Why the static mask's file cannot be read any more; empty for none.
        namesakes: Number of other nodes with the same name.
    """

    name: str
    state: str
    topic: str
    transport: str
    converter: str
    backend: str
    kernels: str
    arithmetic: str
    thresholds: str
    mask_mode: str
    schedule: str
    network: str
    latency_steps: int | None
    profile: Mapping[str, Any] | None
    input_wh: tuple[int, int] | None
    resets: int
    last_error: str
    is_failing: bool
    opening: str
    restarts: int
    notice: BackendNotice
    last_notice: str
    errors: CallbackErrors
    camera: CameraState
    mask_trouble: str
    namesakes: int


@dataclass(frozen=True)
class NodeReport:
    """The node at one moment, and what went through it.

    Attributes:
        facts: About the node.
        counts: Now.
        earlier: The counts of some seconds ago.
        figures: Of the last seconds.
        input: Publishers of images, and how long none has come.
        is_clock_stopped: Whether simulated time has not moved since the last report.
        earlier_errors: Number of exceptions in callbacks some seconds ago.
    """

    facts: NodeFacts
    counts: FrameCounts
    earlier: FrameCounts
    figures: FrameFigures
    input: InputState
    is_clock_stopped: bool
    earlier_errors: int


def assess_health(report: NodeReport) -> tuple[bytes, str]:
    """Returns the highest level, and all findings in one line, those of that level first."""
    findings = list(_find(report))
    if not findings:
        is_active = report.facts.state == "active"
        return OK, f"{report.figures.fps:.1f} frames per second" if is_active else report.facts.state
    findings.sort(key=lambda finding: finding[0], reverse=True)
    return findings[0][0], "; ".join(text for _, text in findings)


def _find(report: NodeReport) -> Iterator[tuple[bytes, str]]:
    """The findings, the most urgent one first."""
    facts = report.facts
    if facts.errors.count > report.earlier_errors:
        yield ERROR, f"an error in the node was caught: {facts.errors.last}"
    if facts.state == "active":
        yield from _find_failures(report)
        yield from _find_losses(report)
    if facts.mask_trouble:
        yield WARN, explain_mask_trouble(facts)
    if facts.namesakes:
        yield WARN, explain_namesakes(facts)


def _find_failures(report: NodeReport) -> Iterator[tuple[bytes, str]]:
    facts, now, earlier = report.facts, report.counts, report.earlier
    if facts.notice:
        yield (ERROR if facts.notice.is_error else WARN), facts.notice.line
    elif now.broken > earlier.broken:
        yield (ERROR if facts.is_failing else WARN), f"frame dropped: {facts.last_error}"
    elif now.received == earlier.received and not now.in_flight:
        yield WARN, explain_silence(report)


def _find_losses(report: NodeReport) -> Iterator[tuple[bytes, str]]:
    facts, now, earlier = report.facts, report.counts, report.earlier
    if now.lost > earlier.lost:
        yield WARN, f"images are lost on the way: {LOSS_HINT}"
    elif now.missing - earlier.missing >= MIN_MISSING:
        yield WARN, (f"about {now.missing - earlier.missing} images seem to be missing, estimated from the camera's "
                     f"rate: if the camera did not skip them, {LOSS_HINT}")
    if report.input.publishers > 1:
        yield WARN, (f"{report.input.publishers} publishers on {facts.topic}: their images mix, and time seems to jump")
    if facts.camera.mixed:
        yield WARN, explain_mixture(facts.topic, facts.camera.mixed)
    if now.overwritten > earlier.overwritten:
        yield WARN, "images come faster than the detector works: the oldest ones are dropped"


def is_input_missing(report: NodeReport) -> bool:
    """Returns whether an active node has got no image for a while. From a bag that pauses, none is expected."""
    is_expected = report.facts.state == "active" and not (report.is_clock_stopped and report.input.publishers)
    return is_expected and report.input.quiet_s >= INPUT_TIMEOUT_S


def explain_silence(report: NodeReport) -> str:
    """Says why no image comes, as far as that can be known, and what to do."""
    topic, found = report.facts.topic, report.input
    if report.is_clock_stopped and found.publishers:
        return f"no images on {topic}: simulated time stands still"
    advice = report.facts.camera.advice
    if advice and found.publishers:
        return f"no images on {topic}: {advice}"
    if not found.publishers:
        none = "no other topic has images: is the camera running?"
        hint = "has the camera ended?" if report.counts.received else advice or none
        return f"no images on {topic}: it has no publisher; {hint}"
    if not is_input_missing(report):
        return f"no images on {topic}"
    if found.has_come:
        return f"the camera pauses: no images on {topic} for {found.quiet_s:.0f} s, but its publisher is still there"
    return (f"publisher present on {topic}, no frames for {found.quiet_s:.0f} s: "
            f"{LOSS_HINT}, check image_reliability")


def explain_mask_trouble(facts: NodeFacts) -> str:
    """Says that the static mask's file cannot be read any more."""
    return f"the static mask in use stays, but its file cannot be read: {shorten(facts.mask_trouble)}"


def explain_namesakes(facts: NodeFacts) -> str:
    """Says that other nodes have the same name."""
    name = "/" + facts.name.partition(":")[0]
    return (f"{facts.namesakes + 1} nodes are called {name}, or one has just died: parameters and services reach any "
            "of them; give each its own name or namespace (-r __ns:=/front)")
