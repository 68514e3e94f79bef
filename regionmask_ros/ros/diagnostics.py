"""What the node says about itself once a second, on /diagnostics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from std_msgs.msg import Header

from .traffic import Figures, FrameCounts

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


@dataclass(frozen=True)
class NodeReport:
    """The node at one moment.

    state: of its life cycle. topic: where pictures are expected. counts, earlier: now and some seconds ago.
    input_wh: of the network; latency_steps: of the backend, one a frame; both None before the first frame. profile: measured on
    hardware, None where nothing was. last_error: why the last frame was dropped that could not be
    used, "" if none was. failing: that was not the picture's fault but the detector's.
    """

    name: str
    state: str
    topic: str
    backend: str
    kernels: str
    arithmetic: str
    mask_mode: str
    network: str
    latency_steps: int | None
    profile: Mapping[str, Any] | None
    counts: FrameCounts
    earlier: FrameCounts
    figures: Figures
    input_wh: tuple[int, int] | None
    last_error: str
    failing: bool


def verdict(report: NodeReport) -> tuple[bytes, str]:
    """Level and the one line that says why."""
    now, earlier = report.counts, report.earlier
    if report.state != "active":
        return OK, report.state
    if now.broken > earlier.broken:
        return (ERROR if report.failing else WARN), f"frame dropped: {report.last_error}"
    if now.received == earlier.received and not now.in_flight:
        hint = "" if now.received else "; is the camera running and the topic remapped?"
        return WARN, f"no pictures on {report.topic}{hint}"
    if now.lost > earlier.lost:
        return WARN, "pictures are lost on the way: give the camera's process the DDS profile for pictures (see README)"
    if now.overwritten > earlier.overwritten:
        return WARN, "pictures come faster than the detector works: the oldest are dropped"
    return OK, f"{report.figures.fps:.1f} frames a second"


def status(report: NodeReport) -> DiagnosticStatus:
    """The report as a message: one status, whose keys never change."""
    counts, figures, profile = report.counts, report.figures, report.profile or {}
    level, message = verdict(report)
    values = {
        "state": report.state,
        "frames received": counts.received,
        "frames answered": counts.answered,
        "frames dropped (overwritten)": counts.overwritten,
        "frames dropped (broken)": counts.broken,
        "frames in flight": counts.in_flight,
        "frames lost before the node": counts.lost,
        "fps": _number(figures.fps),
        "latency stamp to publish p50 [ms]": _number(figures.stamp_ms_p50),
        "latency stamp to publish p95 [ms]": _number(figures.stamp_ms_p95),
        "latency in node p50 [ms]": _number(figures.node_ms_p50),
        "latency in node p95 [ms]": _number(figures.node_ms_p95),
        "masked share": _number(figures.masked_share, 4),
        "events per frame": _number(figures.events_per_frame, 1),
        "synops per frame": _number(figures.synops_per_frame, 1),
        "backend": report.backend,
        "kernels": report.kernels,
        "arithmetic": report.arithmetic,
        "latency of the backend [steps]": "" if report.latency_steps is None else report.latency_steps,
        "measured step [us]": _number(profile.get("step_s"), 2, 1e6),
        "measured power [W]": _number(profile.get("power_w"), 4),
        "measured energy per frame [mJ]": _number(profile.get("energy_j"), 4, 1e3),
        "measured busiest core [synops per step]": _number(profile.get("busiest_core_synops"), 1),
        "mask mode": report.mask_mode,
        "network": report.network,
        "input size": "x".join(map(str, report.input_wh)) if report.input_wh else "",
        "last error": report.last_error,
    }
    pairs = [KeyValue(key=key, value=str(value)) for key, value in values.items()]
    return DiagnosticStatus(level=level, name=report.name, message=message, hardware_id=report.backend, values=pairs)


def message_of(report: NodeReport, header: Header) -> DiagnosticArray:
    return DiagnosticArray(header=header, status=[status(report)])


def _number(value: float | None, digits: int = 2, scale: float = 1.0) -> str:
    """Empty when there is no value: a 0 would look like a measurement."""
    return "" if value is None else f"{value * scale:.{digits}f}"
