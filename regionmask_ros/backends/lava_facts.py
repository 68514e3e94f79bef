"""What the interpreter with Lava has, asked of that interpreter."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from ..untrusted.refused import one_line
from .base import BackendFailed
from .child_process import START, lava_environment

TIMEOUT_S = 5.0


def ask_lava_python(interpreter: Path) -> dict[str, Any]:
    """The facts of ``lava_child.facts``. Raises BackendFailed when it does not answer."""
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
    raise BackendFailed(one_line(f"{interpreter}: {cause}"))
