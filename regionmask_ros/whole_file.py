"""A file that appears complete or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from .errors import UserError
from .untrusted.archive import system_cause
from .untrusted.refused import one_line


def write_whole(target: Path, content: bytes) -> None:
    """Writes under another name and renames when complete. Folders are made. Raises UserError."""
    unfinished = target.parent / f".{target.name}.{os.getpid()}.part"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            unfinished.write_bytes(content)
            os.replace(unfinished, target)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(one_line(f"{target}: cannot be written, {system_cause(error)}")) from error
