"""What the interpreter with Lava has, asked of that interpreter.

Which interpreter runs Lava. It is looked for, never imported.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from ..errors import to_one_line
from .base import BackendError
from .worker_process import START, lava_environment

TIMEOUT_S = 5.0


def ask_lava_python(interpreter: Path) -> dict[str, Any]:
    """The facts of ``lava_worker.probe``. Raises BackendFailed when it does not answer."""
    try:
        done = subprocess.run(
            [str(interpreter), str(START), "--facts"], stdin=subprocess.DEVNULL, capture_output=True,
            timeout=TIMEOUT_S, env=lava_environment(os.environ),
        )
        return dict(json.loads(done.stdout))
    except subprocess.TimeoutExpired:
        cause = f"does not answer within {TIMEOUT_S:g} s"
    except OSError as error:
        cause = f"cannot be started, {error.strerror}"
    except ValueError:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        cause = f"is no usable Python: {last[0] if last else f'it ended with {done.returncode}'}"
    raise BackendError(to_one_line(f"{interpreter}: {cause}"))


ENVIRONMENT_KEY = "REGIONMASK_LAVA_PYTHON"
FOLDER = "lava"
HINT = "run 'make lava', or name one that has lava-nc in the environment variable " + ENVIRONMENT_KEY


def find_lava_python(explicit: str = "") -> Path:
    """The interpreter to use: ``explicit`` if given, else the first that exists of

    what the environment variable REGIONMASK_LAVA_PYTHON names, lava/bin/python below this Python's prefix (where
    ``make lava`` puts it), the same below the user's data folder, and this Python when it has Lava.

    Raises BackendFailed when there is none. Whether it works, only a start tells.
    """
    for named, by in ((explicit, "the backend option python"), (os.environ.get(ENVIRONMENT_KEY, ""), ENVIRONMENT_KEY)):
        if named:
            path = Path(os.path.expanduser(named))
            if not os.access(path, os.X_OK) or path.is_dir():
                raise BackendError(to_one_line(f"{path}: no interpreter, but {by} names it; {HINT}"))
            return path
    for path in usual_places():
        if os.access(path, os.X_OK):
            return path
    if any((Path(entry) / "lava" / "magma").is_dir() for entry in sys.path if os.path.isabs(entry)):
        return Path(sys.executable)
    raise BackendError(f"no interpreter with Lava found; {HINT}")


def usual_places() -> list[Path]:
    """Where ``make lava`` puts the interpreter, and where a user without ``.venv`` may put one."""
    base = os.environ.get("XDG_DATA_HOME", "")
    if not os.path.isabs(base):
        base = os.path.expanduser("~/.local/share")
    return [Path(folder) / FOLDER / "bin" / "python" for folder in (sys.prefix, Path(base) / "regionmask_ros")]
