"""The folder in which compiled models are kept from one start to the next."""

from __future__ import annotations

import logging
import tempfile
from functools import cache
from pathlib import Path

from .. import user_folders
from ..errors import UserError
from .paths import display_path

NO_CACHE = "none"


def find_model_cache(wanted: str) -> Path | None:
    """Finds the folder of compiled models, and creates it when it is missing.

    Args:
        wanted: A folder; empty: ``$XDG_CACHE_HOME/regionmask_ros/models`` or ``~/.cache/regionmask_ros/models``;
            ``none``: no folder.

    Returns:
        The absolute path. None if none is wanted, if the user's own folder cannot be written, and with a warning if
        another user could write there: compiled models are machine code.

    Raises:
        UserError: The folder that was named cannot be written, or another user could write there.
    """
    ours = user_folders.cache_folder()
    if wanted == NO_CACHE or not (wanted or ours):
        return None
    try:
        folder = Path(wanted).absolute() if wanted or ours is None else ours / "models"
        user_folders.make_private(folder)
        reason = user_folders.find_distrust(folder)
        if reason and wanted:
            raise UserError(f"model_cache {display_path(wanted)}: not used, because {reason}")
        if reason:
            _warn_once(reason)
            return None
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        if wanted:
            raise UserError(f"model_cache {display_path(wanted)}: cannot be written: {error.strerror}") from error
        return None


@cache
def _warn_once(reason: str) -> None:
    logging.getLogger(__name__).warning("stored compiled networks are not used, because %s", reason)
