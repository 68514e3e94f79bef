"""``.venv/lava``: an environment of its own for Lava's simulator, which needs an old NumPy and likes an old Python."""

from __future__ import annotations

import glob
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Iterator, Mapping

from . import interpreter
from .environment import venv_environment
from .failures import SetupError
from .interpreter import Interpreter
from .packages import pins
from .plan import SetupPaths
from .progress import Progress
from .state import State, digest, only_one

LOCK = Path(__file__).with_name("lock_lava.txt")
STEP = "lava"
WANTED = (3, 10)
"""The Python that lava-nc is made for. On a newer one it is imported with a shim (``lava_worker/shim.py``)."""

_USUAL = ("/usr/bin/python3.10", "/usr/local/bin/python3.10")
"""Beside PATH, which an activated environment may have changed."""

_PROBE = """
import ensurepip, json, sys, venv
print(json.dumps([sys.executable, sys.version_info[:2]]))
"""

# The graph's parts, imported as the backend imports them: an environment that cannot do this is of no use.
_TRY_IT = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("shim", sys.argv[1])
shim = importlib.util.module_from_spec(spec)
spec.loader.exec_module(shim)
shim.import_var_model()
import lava.magma.compiler.compiler, lava.proc.conv.models, lava.proc.io.extractor, lava.proc.sdn.models
"""


def set_up_lava(root: Path, environ: Mapping[str, str]) -> None:
    """Makes ``.venv/lava`` unless it is there already; ``.venv`` must be there. Raises SetupFailed or OSError."""
    place = SetupPaths(root)
    folder = place.venv / "lava"
    with only_one(LOCK, lambda: print("another set-up of Lava is at work; waiting for it", flush=True)) as lock:
        progress = Progress(place.venv / "log", hold=lock)
        env = venv_environment(False, environ)
        found, version = choose_python(environ)
        key = digest(LOCK, Path(__file__), str(folder), found, f"{version}")
        state = State(place.state)
        if state.has(STEP, key) and os.access(folder / "bin" / "python", os.X_OK):
            print(f"Lava is ready: {folder / 'bin' / 'python'}", flush=True)
            return
        _install(progress, env, root, found, version, folder)
        # Read again: another set-up may have written meanwhile.
        State(place.state).set(STEP, key)
        progress.print_line(f"ready: {folder / 'bin' / 'python'}")


def choose_python(environ: Mapping[str, str]) -> tuple[str, tuple[int, int]]:
    """(path, version): a Python 3.10 if there is one that can make environments, else the running one."""
    for candidate in _candidates(environ):
        answer = _ask(candidate)
        if answer and answer[1] == WANTED:
            return answer
    running: Interpreter = interpreter.running()
    return interpreter.base_interpreter() or running.executable, running.version


def _candidates(environ: Mapping[str, str]) -> Iterator[str]:
    for folder in environ.get("PATH", os.defpath).split(os.pathsep):
        yield os.path.join(folder, "python3.10")
    yield from sorted(glob.glob(os.path.join(glob.escape(_pyenv_root(environ)), "versions", "3.10*", "bin", "python")))
    yield from _USUAL


def _pyenv_root(environ: Mapping[str, str]) -> str:
    return environ.get("PYENV_ROOT", "") or os.path.join(os.path.expanduser("~"), ".pyenv")


def _ask(python: str) -> tuple[str, tuple[int, int]] | None:
    """Path and version of an interpreter that can make environments; None for anything else."""
    if not os.access(python, os.X_OK):
        return None
    try:
        done = subprocess.run([python, "-I", "-c", _PROBE], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, timeout=60)
        path, version = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return str(path), (int(version[0]), int(version[1]))


def _install(progress: Progress, env: Mapping[str, str], root: Path, found: str, version: tuple[int, int],
             folder: Path) -> None:
    """Everything happens under another name; the folder appears when it works."""
    unfinished = folder.with_name("lava.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    progress.print_line(f"Lava: an environment with Python {version[0]}.{version[1]} and {len(pins(LOCK))} pinned packages")
    progress.run("creating .venv/lava", [found, "-m", "venv", unfinished], env, "lava")
    python = unfinished / "bin" / "python"
    progress.run("installing Lava", [
        python, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--no-user", "--progress-bar",
        "off", "--no-deps", "--ignore-requires-python", "-r", LOCK,
    ], env, "lava")
    shim = root / "regionmask_ros" / "lava_worker" / "shim.py"
    progress.run("importing Lava", [python, "-c", _TRY_IT, shim], env, "lava")
    shutil.rmtree(folder, ignore_errors=True)
    try:
        os.replace(unfinished, folder)
    except OSError as error:
        raise SetupError(f"{folder} cannot be put in place: {error.strerror}") from error
