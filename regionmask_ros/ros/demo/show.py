"""The demo from start to end: start the node, record, play, account for every frame, stop."""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...core.frame import MAX_PIXELS, choose_input_size
from ...core.options import Value
from ...errors import UserError
from ...progress import Progress
from ...sources import Source
from ..setup import find_profile, image_environment, require
from .children import Child

if TYPE_CHECKING:
    from ..recorder import Recorder


@dataclass(frozen=True)
class Account:
    """What has become of every frame that was played.

    Attributes:
        played: Frames that the player published.
        received: Frames that the node received; see ``FrameCounts`` for these and the following.
        answered: Frames with results.
        overwritten: Frames that a newer one has overwritten.
        broken: Frames that were dropped for another reason.

    Raises:
        ValueError: The numbers do not add up.
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
        """Returns the account as text."""
        return (
            f"{self.played} frames played = {self.answered} answered "
            f"+ {self.overwritten + self.broken} dropped by the node ({self.overwritten} overwritten, "
            f"{self.broken} broken) + {self.lost} lost before the node")

    def as_json(self) -> dict[str, int]:
        """Returns the account for summary.json."""
        return {
            "played": self.played,
            "answered": self.answered,
            "dropped_overwritten": self.overwritten,
            "dropped_broken": self.broken,
            "lost_before_node": self.lost,
        }


def make_account(played: int, diagnostics: Mapping[str, str]) -> Account:
    """Makes the account from the values of the node's last diagnostics."""
    return Account(played, int(diagnostics["frames received"]), int(diagnostics["frames answered"]),
                   int(diagnostics["frames dropped (overwritten)"]), int(diagnostics["frames dropped (broken)"]))


START_TIMEOUT_S = 180.0
"""The node's first start on a computer may compile its kernels."""

SETTLE_S = 0.5
"""Time until subscribers and publishers have matched in both directions."""

ANSWER_TIMEOUT_S = 30.0
POLL_PERIOD_S = 0.1

PRESET = "balanced"


@dataclass(frozen=True)
class Playback:
    """What is played, and how.

    Attributes:
        video: Path of the video.
        source: The open video.
        rate: Speed factor.
        max_frames: The player stops after as many frames; None plays all.
        parameters: Parameters of the node and their values, next to preset and input size.
        max_pixels: Limit of the network's input.
    """

    video: str
    source: Source
    rate: float
    max_frames: int | None = None
    parameters: Mapping[str, Value] = field(default_factory=dict)
    max_pixels: int = MAX_PIXELS

    @property
    def frame_count(self) -> int | None:
        """Number of frames that will be played, None if unknown."""
        counts = [count for count in (self.source.frame_count, self.max_frames) if count]
        return min(counts, default=None)

    @property
    def arguments(self) -> list[str]:
        """Arguments of the command ``play``."""
        limit = [] if self.max_frames is None else ["--max-frames", str(self.max_frames)]
        return [self.video, "--rate", str(self.rate), *limit,
                "--max-image-pixels", str(self.source.reading.max_pixels),
                "--image-bit-depth", self.source.reading.bit_depth]

    @property
    def values(self) -> dict[str, Value]:
        """Parameters of the node that are not at their defaults."""
        width, height = choose_input_size(self.source.size_wh, self.max_pixels)
        fixed: dict[str, Value] = {"mask_mode": "preset", "preset": PRESET, "input_size": f"{width}x{height}"}
        return {**fixed, **self.parameters}

    @property
    def node_arguments(self) -> list[str]:
        """Arguments of the command ``detector``."""
        texts = {name: f"[{', '.join(value)}]" if isinstance(value, tuple) else str(value)
                 for name, value in self.values.items()}
        return ["--ros-args", *(word for name, text in texts.items() for word in ("-p", f"{name}:={text}"))]


@dataclass(frozen=True)
class DemoResult:
    """What playing has given.

    Attributes:
        account: Of all frames.
        seconds: How long playing took.
        stamps_ns: Stamps of the played frames, in order.
    """

    account: Account
    seconds: float
    stamps_ns: Sequence[int]


def private_environment(domain_id: int) -> dict[str, str]:
    """Makes the environment of a demo's processes: images through shared memory, no contact to other ROS programs.

    Args:
        domain_id: ROS domain.

    Returns:
        This process's environment with these variables.

    Raises:
        UserError: The package was installed without its DDS profile.
    """
    profile = find_profile()
    if profile is None:
        raise UserError("config/fastdds_images.xml of this package is missing: install the package again")
    alone = {"ROS_DOMAIN_ID": str(domain_id), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    if os.environ.get("ROS_DISTRO") == "humble":  # Newer ones warn that this is outdated.
        alone = {"ROS_DOMAIN_ID": str(domain_id), "ROS_LOCALHOST_ONLY": "1"}
    return {**os.environ, **image_environment(profile, os.environ), **alone}


def use_private_domain() -> dict[str, str]:
    """Sets ``private_environment`` of a random domain for this process.

    Returns:
        The environment.

    Raises:
        UserError: A ROS package is missing.
    """
    # All systems allow domains up to 101.
    environment = private_environment(1 + secrets.randbelow(101))
    os.environ.update(environment)
    require("rclpy", "sensor_msgs", "diagnostic_msgs", "lifecycle_msgs", "std_srvs", "vision_msgs")
    return environment


def show(playback: Playback, folder: Path, environment: dict[str, str]) -> DemoResult:
    """Plays the video through the node and leaves ``bag``, ``node.log`` and ``player.log`` in a folder.

    Pictures that the player drops are counted by the source of the playback.

    Args:
        playback: What is played.
        folder: An existing folder.
        environment: The environment of all processes, also of this one, which records.

    Returns:
        The account and the time.

    Raises:
        UserError: A process fails, or a frame is unaccounted for.
    """
    from ..recorder import BagWriter, Recorder
    from ..session import RosSession

    with ExitStack() as stack:
        node = stack.enter_context(Child("node", ["detector", *playback.node_arguments], environment,
                                         folder / "node.log"))
        bag = BagWriter(folder / "bag")
        stack.callback(bag.close)
        session = stack.enter_context(RosSession())
        recorder = session.add(lambda **arguments: Recorder(bag, **arguments))
        session.spin()
        _wait_until_active(node, recorder)
        _check_no_publishers(recorder, environment["ROS_DOMAIN_ID"])
        played = _play(playback, folder, environment, node, recorder)
        playback.source.reading.dropped.merge(played)
        account = _wait_until_idle(played["frames"], node, recorder)
        node.stop()
        node.ended()
    return DemoResult(account, played["seconds"], played["stamps_ns"])


def _wait_until_active(node: Child, recorder: Recorder) -> None:
    """Waits for the latched label_info: the node is then active, and the recorder has found it."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while not recorder.node_is_active.wait(POLL_PERIOD_S):
        node.check_running()
        if time.monotonic() > deadline:
            raise UserError(f"the node was not ready within {START_TIMEOUT_S:.0f} s")
    time.sleep(SETTLE_S)


def _check_no_publishers(recorder: Recorder, domain_id: str) -> None:
    """Raises UserError when other programs publish the same topics: their frames would spoil the account."""
    if recorder.count_publishers("/image") or recorder.count_publishers("/detections") != 1:
        raise UserError(f"other programs use ROS domain {domain_id}, which was chosen at random: start the demo again")


def _play(playback: Playback, folder: Path, environment: dict[str, str], node: Child,
          recorder: Recorder) -> dict[str, Any]:
    """Runs the player to its end. Returns its JSON output: frames and seconds."""
    output = folder / "played.json"
    arguments = ["play", *playback.arguments, "--wait", "30", "--json", str(output)]
    with Child("player", arguments, environment, folder / "player.log") as player, \
            Progress(unit="frame", total=playback.frame_count, desc="playing") as progress:
        while not player.ended():
            node.check_running()
            _check(recorder)
            progress.at(recorder.counts["/detections"])
            time.sleep(POLL_PERIOD_S)
    played = json.loads(output.read_text())
    output.unlink()
    return played


def _wait_until_idle(played: int, node: Child, recorder: Recorder) -> Account:
    """Waits for diagnostics after the last image with no frame in flight, and until its results are recorded."""
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


def _check(recorder: Recorder) -> None:
    if recorder.failure is not None:
        raise UserError(f"the recording has failed: {recorder.failure.strerror or recorder.failure}")
