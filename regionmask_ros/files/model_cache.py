"""The folder in which compiled models are kept from one start to the next."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from ..errors import UserError
from .paths import display_path

NO_CACHE = "none"


def find_model_cache(wanted: str) -> Path | None:
    """Finds the folder of compiled models, and creates it when it is missing.

    Args:
        wanted: A folder; empty: ``$XDG_CACHE_HOME/regionmask_ros/models`` or ``~/.cache/regionmask_ros/models``;
            ``none``: no folder.

    Returns:
        The absolute path. None if none is wanted, or if the user's own folder cannot be written.

    Raises:
        UserError: The folder that was named cannot be written.
    """
    if wanted == NO_CACHE:
        return None
    try:
        folder = Path(wanted).absolute() if wanted else _users_folder()
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        if wanted:
            raise UserError(f"model_cache {display_path(wanted)}: cannot be written: {error.strerror}") from error
        return None


def _users_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):
        base = os.path.expanduser("~/.cache")
    if not os.path.isabs(base):
        raise OSError("there is no home")
    return Path(base) / "regionmask_ros" / "models"
