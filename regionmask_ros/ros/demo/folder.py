"""An output folder that appears complete or not at all, and replaces only a folder of an earlier demo."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from ...errors import UserError

MARKER = ".regionmask_ros_demo"
"""A file that marks a folder as made by the demo."""


class DemoFolder:
    """Context manager: files are written to ``work``, beside the target; ``commit`` renames it to the target.

    Args:
        target: Path of the folder.

    Attributes:
        target: The absolute path.
        work: The folder to write to.

    Raises:
        UserError: The target is neither missing, empty nor made by a demo, or nothing can be written there.
    """

    def __init__(self, target: str) -> None:
        self.target = Path(target).resolve()
        self._check()
        beside = self.target.parent
        self.work = beside / f".{self.target.name}.{os.getpid()}.partial"
        self._old = beside / f".{self.target.name}.{os.getpid()}.old"
        try:
            self.work.mkdir(parents=True)
            (self.work / MARKER).touch()
        except OSError as error:
            raise UserError(f"{self.target}: cannot be written: {error.strerror}") from error

    def __enter__(self) -> DemoFolder:
        return self

    def __exit__(self, *exception: object) -> None:
        shutil.rmtree(self.work, ignore_errors=True)

    def commit(self) -> None:
        """Replaces the older folder by the finished one."""
        self._check()
        if self.target.exists():
            os.rename(self.target, self._old)
        os.rename(self.work, self.target)
        shutil.rmtree(self._old, ignore_errors=True)

    def _check(self) -> None:
        if not os.path.lexists(self.target):
            return
        if not self.target.is_dir():
            raise UserError(f"{self.target}: not a folder: give another --output")
        if not (self.target / MARKER).exists() and any(self.target.iterdir()):
            raise UserError(
                f"{self.target}: not empty, and not made by the demo: move it away, or give another --output"
            )
