"""What follows a failure of a backend: a restart, the fallback, or no detection for a while.

A backend that fails is opened once more. When it fails again, the fallback takes its place; without a fallback, frames
are refused for a while.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

STABLE_AFTER_S = 600.0
"""A failure that comes this long after the last restart counts as a first failure.

A lasting cause, such as a network that does not fit into memory, brings the failure back within seconds. One failure
in ten minutes is an accident and costs little: at most 15 % of the time with the default timeouts of a step and of
opening.
"""

NOTICE_LIFETIME_S = 5.0
"""A notice about something that is over lasts this long, so that a viewer that polls sees it."""


@dataclass(frozen=True)
class BackendNotice:
    """A message about backends for users.

    Attributes:
        line: The message; empty for none.
        is_error: Whether nothing is detected in the meantime.
        expires_s: When it stops being current, in seconds of ``BackendManager``'s clock.
    """

    line: str = ""
    is_error: bool = False
    expires_s: float = math.inf

    def __bool__(self) -> bool:
        return bool(self.line)

    def at(self, now_s: float) -> BackendNotice:
        """Returns itself while it is current, then an empty notice."""
        return self if now_s < self.expires_s else BackendNotice()


@dataclass(frozen=True)
class BackendHealth:
    """The failures of the current backend.

    Attributes:
        restarts: Number of restarts so far, of all backends.
        restarted_s: Time of the last restart; None when there was none since the backend was last healthy.
        given_up_s: Time since when frames are refused; None while they are not.
        reason: The cause of the last failure, one line.
        notice: The message about the last failure.
    """

    restarts: int = 0
    restarted_s: float | None = None
    given_up_s: float | None = None
    reason: str = ""
    notice: BackendNotice = BackendNotice()

    def refuses_frames(self, now_s: float) -> bool:
        """Whether the backend was disabled too recently to try again."""
        return self.given_up_s is not None and now_s - self.given_up_s < STABLE_AFTER_S

    def fail(self, backend: str, reason: str, fallback: str, now_s: float) -> BackendHealth:
        """Decides what follows a failure: a restart, the fallback, or refusing frames.

        Args:
            backend: The name of the backend that failed.
            reason: The cause, one line.
            fallback: The name of the backend to fall back to; empty for none.
            now_s: Current time.

        Returns:
            The new state. ``restarted_s`` is None if the fallback shall run; ``given_up_s`` is set if frames are
            refused.
        """
        if self.restarted_s is None or now_s - self.restarted_s >= STABLE_AFTER_S:
            line = f"backend {backend} failed and is started again: {reason}"
            return BackendHealth(self.restarts + 1, now_s, None, reason, BackendNotice(line))
        if fallback:
            line = f"backend {backend} failed twice, {fallback} takes over: {reason}"
            return BackendHealth(self.restarts, None, None, reason, BackendNotice(line))
        line = f"backend {backend} failed twice and is disabled, fallback is none: {reason}"
        return BackendHealth(self.restarts, self.restarted_s, now_s, reason, BackendNotice(line, is_error=True))

    def recover(self, now_s: float) -> BackendHealth:
        """Returns the state after the backend has taken a frame."""
        if self.given_up_s is not None:
            return BackendHealth(self.restarts)
        if self.restarted_s is None or self.notice.expires_s < math.inf:
            return self
        return replace(self, notice=replace(self.notice, expires_s=now_s + NOTICE_LIFETIME_S))
