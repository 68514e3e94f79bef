"""The whole state of a training on disk: an ``.npz`` of plain numbers, read as data from anybody."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Mapping

import numpy as np

from ..untrusted.archive import open_regular, open_zip
from ..untrusted.arrays import read_array
from ..untrusted.refused import Refused
from ..whole_file import write_whole

WHAT = "a checkpoint of train_mgnet"
MOST_STEPS = 10_000_000


def save_checkpoint(path: Path, state: Mapping[str, np.ndarray]) -> None:
    """The file appears when it is complete. Arrays have two axes at most."""
    content = io.BytesIO()
    np.savez(content, **state)
    write_whole(path, content.getvalue())


def load_checkpoint(path: Path, like: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """like: a state with the arrays that must be there. The length of their first axis may differ for those that grow,
    whose name begins with ``history``. Raises UserError, one line with file and cause."""
    try:
        with open_regular(path) as file:
            archive = open_zip(file)
            found = {name: read_array(archive, name, "fiu", WHAT, MOST_STEPS) for name in like}
        for name, wanted in like.items():
            skip = name.startswith("history")
            if found[name].ndim != wanted.ndim or found[name].shape[skip:] != wanted.shape[skip:]:
                raise Refused(f"array {name} is {list(found[name].shape)}: from another training")
            if not np.isfinite(found[name]).all():
                raise Refused(f"array {name} holds numbers that are not finite")
    except Refused as refused:
        raise refused.about(str(path)) from refused
    return found
