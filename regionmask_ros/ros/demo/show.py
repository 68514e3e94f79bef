"""Where every frame that was played went.

Progress for people: a bar on a terminal, a line now and then elsewhere.

The demonstration from start to end: start, record, play, account, stop.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from ...core.frame import choose_input_size
from ...errors import UserError
from ...sources import Source
from ..setup import find_profile, image_environment, require
from .children import Child


@dataclass(frozen=True)
class Account:
    """Frames. played: published by the player. The others as the node counted them, see FrameCounts.

    Raises ValueError when they do not add up: then a frame is unaccounted for.
    """

    played: int
    received: int
    answered: int
    overwritten: int
    broken: int

    def __post_init__(self) -> None:
        if self.received != self.answered + self.overwritten + self.broken:
            raise ValueError(f"{self.received} frames received, but {self.answered} answered, "
                             f"{self.overwritten} overwritten and {self.broken} broken")
        if self.lost < 0:
            raise ValueError(f"{self.received} frames received, but only {self.played} played")

    @property
    def lost(self) -> int:
        """Frames that never reached the node."""
        return self.played - self.received

    def line(self) -> str:
        """The sum in words."""
        return (
            f"{self.played} frames played = {self.answered} answered "
            f"+ {self.overwritten + self.broken} dropped by the node ({self.overwritten} overwritten, "
            f"{self.broken} broken) + {self.lost} lost before the node"
        )

    def as_json(self) -> dict[str, int]:
        return {
            "played": self.played,
            "answered": self.answered,
            "dropped_overwritten": self.overwritten,
            "dropped_broken": self.broken,
            "lost_before_node": self.lost,
        }


def make_account(played: int, diagnostics: Mapping[str, str]) -> Account:
    """From the values of the node's last report."""
    return Account(
        played,
        int(diagnostics["frames received"]),
        int(diagnostics["frames answered"]),
        int(diagnostics["frames dropped (overwritten)"]),
        int(diagnostics["frames dropped (broken)"]),
    )


LINE_PERIOD_S = 1.0


class Progress:
    """Context manager. total: None when nobody knows it."""

    def __init__(self, what: str, total: int | None, unit: str = "frame") -> None:
        self._what, self._total, self._unit = what, total, unit
        self._bar = tqdm(total=total, desc=what, unit=unit) if sys.stderr.isatty() else None
        self._next_s = 0.0
        self._told = self._done = 0

    def at(self, done: int) -> None:
        """So many are done by now."""
        self._done = done
        if self._bar is not None:
            self._bar.update(done - self._bar.n)
        elif time.monotonic() >= self._next_s:
            self._next_s = time.monotonic() + LINE_PERIOD_S
            self._tell()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.close()
        elif self._done != self._told:
            self._tell()

    def _tell(self) -> None:
        of = f" of {self._total}" if self._total else ""
        print(f"{self._what}: {self._done}{of} {self._unit}s", flush=True)
        self._told = self._done


START_TIMEOUT_S = 180.0
"""The node's first start on a computer may have to compile its kernels."""

SETTLE_S = 0.5
"""Until subscribers and publishers have found each other both ways."""

ANSWER_TIMEOUT_S = 30.0
POLL_PERIOD_S = 0.1

PRESET = "balanced"


@dataclass(frozen=True)
class Playback:
    """What is played: ``source`` is the open ``video``.

    rate: speed factor. max_frames: the player stops after as many frames; None plays all.
    """

    video: str
    source: Source
    rate: float
    max_frames: int | None = None

    @property
    def frame_count(self) -> int | None:
        """Number of frames that will be played, None if unknown."""
        counts = [count for count in (self.source.frame_count, self.max_frames) if count]
        return min(counts, default=None)

    @property
    def arguments(self) -> list[str]:
        """Arguments of the command ``play``."""
        limit = [] if self.max_frames is None else ["--max-frames", str(self.max_frames)]
        return [self.video, "--rate", str(self.rate), *limit]


@dataclass(frozen=True)
class DemoResult:
    """account: of all frames played. seconds: how long playing took."""

    account: Account
    seconds: float


def private_environment(domain_id: int) -> dict[str, str]:
    """For all processes of a demonstration: pictures through shared memory, and no contact to other ROS programs.

    Raises UserError when the package was installed without its profile.
    """
    profile = find_profile()
    if profile is None:
        raise UserError("config/fastdds_images.xml of this package is missing: install the package again")
    alone = {"ROS_DOMAIN_ID": str(domain_id), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    if os.environ.get("ROS_DISTRO") == "humble":  # Newer ones warn that this is outdated.
        alone = {"ROS_DOMAIN_ID": str(domain_id), "ROS_LOCALHOST_ONLY": "1"}
    return {**os.environ, **image_environment(profile, os.environ), **alone}


def use_private_domain() -> dict[str, str]:
    """``private_environment`` of a domain picked by chance, set for this process, too. Raises UserError without ROS.

    Any domain, so that two hardly ever hear each other. Up to 101 all systems allow.
    """
    environment = private_environment(1 + secrets.randbelow(101))
    os.environ.update(environment)
    require("rclpy", "sensor_msgs", "diagnostic_msgs", "lifecycle_msgs", "std_srvs", "vision_msgs")
    return environment


def show(playback: Playback, folder: Path, environment: dict[str, str]) -> DemoResult:
    """Plays the video through the node and leaves ``bag``, ``node.log`` and ``player.log`` in the folder.

    ``environment`` must be this process's too, as its recorder takes part. Raises UserError when a process fails.
    """
    from ..recorder import BagWriter, Recorder
    from ..session import RosSession

    with ExitStack() as stack:
        width, height = choose_input_size(playback.source.size_wh)
        node = stack.enter_context(Child("node", [
            "detector", "--ros-args", "-p", "mask_mode:=preset", "-p", f"preset:={PRESET}",
            "-p", f"input_size:={width}x{height}",
        ], environment, folder / "node.log"))
        bag = BagWriter(folder / "bag")
        stack.callback(bag.close)
        session = stack.enter_context(RosSession())
        recorder = session.add(lambda **arguments: Recorder(bag, **arguments))
        session.spin()
        _wait_until_active(node, recorder)
        _check_no_publishers(recorder, environment["ROS_DOMAIN_ID"])
        played = _play(playback, folder, environment, node, recorder)
        account = _wait_until_idle(played["frames"], node, recorder)
        node.stop()
        node.ended()
    return DemoResult(account, played["seconds"])


def _wait_until_active(node: Child, recorder) -> None:
    """The latched label_info tells that the node is active, and that it and the recorder have found each other."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while not recorder.node_is_active.wait(POLL_PERIOD_S):
        node.check_running()
        if time.monotonic() > deadline:
            raise UserError(f"the node was not ready within {START_TIMEOUT_S:.0f} s")
    time.sleep(SETTLE_S)


def _check_no_publishers(recorder, domain_id: str) -> None:
    """Raises UserError when others publish what we are about to: their frames would spoil the account."""
    if recorder.count_publishers("/image") or recorder.count_publishers("/detections") != 1:
        raise UserError(f"other programs use ROS domain {domain_id}, which this demo picked by chance: start it again")


def _play(playback: Playback, folder: Path, environment: dict[str, str], node: Child, recorder) -> dict:
    """Runs the player to its end. Returns what it says: frames and seconds."""
    told = folder / "played.json"
    arguments = ["play", *playback.arguments, "--wait", "30", "--json", str(told)]
    with Child("player", arguments, environment, folder / "player.log") as player, \
            Progress("playing", playback.frame_count) as progress:
        while not player.ended():
            node.check_running()
            _check(recorder)
            progress.at(recorder.counts["/detections"])
            time.sleep(POLL_PERIOD_S)
    played = json.loads(told.read_text())
    told.unlink()
    return played


def _wait_until_idle(played: int, node: Child, recorder) -> Account:
    """Waits for a report that was made after the last picture and leaves nothing in flight, and for what it tells to
    be recorded.
    """
    end_ns, deadline = time.time_ns(), time.monotonic() + ANSWER_TIMEOUT_S
    while not (recorder.report_time_ns > end_ns and recorder.report["frames in flight"] == "0"):
        node.check_running()
        _check(recorder)
        if time.monotonic() > deadline:
            raise UserError(f"the node has not answered all frames within {ANSWER_TIMEOUT_S:.0f} s")
        time.sleep(POLL_PERIOD_S)
    try:
        account = make_account(played, recorder.report)
    except ValueError as error:
        raise UserError(f"frames are unaccounted for ({error}): does another program publish on /image?") from error
    recorded_by = time.monotonic() + 2.0
    while recorder.counts["/overlay"] < account.answered and time.monotonic() < recorded_by:
        time.sleep(POLL_PERIOD_S)
    return account


def _check(recorder) -> None:
    if recorder.failure is not None:
        raise UserError(f"the recording broke off: {recorder.failure.strerror or recorder.failure}")
