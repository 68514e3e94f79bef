"""What other programs on the ROS network learn about files that cannot be used.

Parameters name files, and everyone who may set parameters could otherwise ask which files exist. So a file that was
named while the node runs is refused in one sentence, whatever is wrong with it; the reason is written where only the
node's user reads it. Files of the node's own output, and those that were named when the node started, are explained.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

from rclpy.logging import get_logger

from ..core.options import Value
from ..errors import FileRefused, UserError, quote_outside, to_one_line
from ..files.output_folder import find_output_folder
from ..pipeline.pipeline import Pipeline

FILE_PARAMETERS = ("network_file", "static_mask", "mgnet_weights")
"""Those that name files to be read."""

LOG_PERIOD_S, REPEAT_PERIOD_S = 0.1, 5.0
"""From one line to the next, and to the same line again: requests must not fill the disk."""

_LOGGER = get_logger("regionmask_ros")
"""Not a node's logger: what it writes goes to the terminal and to log files, and not to the topic /rosout."""


class FileRefusals:
    """Turns errors into what may be said over ROS.

    Args:
        values: The parameters with which the node has started.
    """

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._output_directory = str(values["output_directory"])
        self._from_start = frozenset(values[name] for name in FILE_PARAMETERS)
        self._logged = ("", float("-inf"))
        self._mask_trouble: tuple[UserError | None, str] = (None, "")

    def describe(self, error: UserError) -> str:
        """One line that may be said to anyone.

        Args:
            error: Any error of a user; only those about files are changed.

        Returns:
            The line. Where it hides the reason, the reason goes to the terminal and the log file.
        """
        if not isinstance(error, FileRefused) or self._may_explain(error.file):
            return to_one_line(str(error))
        self._log(f"refused: {error}")
        return (f"{quote_outside(error.file)}: this file cannot be used; the node's own terminal and log file say why "
                "(files below output_directory are explained here, too)")

    def describe_mask(self, pipeline: Pipeline) -> str:
        """Says why the file of the static mask in use cannot be read any more; empty if it can, or there is none."""
        settings = pipeline.settings
        trouble = pipeline.static_masks.find_trouble(settings.static_mask) if settings.reads_static_mask else None
        if trouble is not self._mask_trouble[0]:
            self._mask_trouble = trouble, self.describe(trouble) if trouble else ""
        return self._mask_trouble[1]

    def _log(self, line: str) -> None:
        now_s, (last, logged_s) = time.monotonic(), self._logged
        if now_s - logged_s >= (REPEAT_PERIOD_S if line == last else LOG_PERIOD_S):
            self._logged = line, now_s
            _LOGGER.warning(line)

    def _may_explain(self, file: str) -> bool:
        if file in self._from_start:
            return True
        try:
            ours = os.path.realpath(find_output_folder(self._output_directory))
            return os.path.commonpath((ours, os.path.realpath(file))) == ours
        except (UserError, OSError, ValueError):
            return False
