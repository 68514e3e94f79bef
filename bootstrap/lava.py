"""Makes ``.venv/lava``, an environment for Lava's simulator, which needs NumPy 1 and prefers Python 3.10."""

from __future__ import annotations

import glob
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from . import interpreter
from .environment import make_venv_environment
from .failures import SetupError
from .installer import Installer
from .packages import read_hashes, read_pins
from .plan import SetupPaths
from .progress import Progress
from .state import State, compute_digest, lock_exclusively

LOCK = Path(__file__).with_name("lock_lava.txt")
LOCK_BUILD = Path(__file__).with_name("lock_lava_build.txt")
STEP = "lava"
WANTED = (3, 10)
"""The Python that lava-nc is made for. On a newer one it is imported with a shim (``lava_worker/shim.py``)."""

_WITHOUT_NUMPY_WHEEL = (3, 13)
"""The first Python without a wheel of NumPy 1. Its source is built with the pinned tools of ``lock_lava_build.txt``."""

# Tried after PATH, which an activated environment may have changed.
_USUAL_PLACES = ("/usr/bin/python3.10", "/usr/local/bin/python3.10")

_PROBE = """
import ensurepip, json, sys, venv
print(json.dumps([sys.executable, sys.version_info[:2]]))
"""

# Imports Lava as the backend does: an environment that cannot do this is of no use.
_TEST_IMPORT = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("shim", sys.argv[1])
shim = importlib.util.module_from_spec(spec)
spec.loader.exec_module(shim)
shim.import_var_model()
import lava.magma.compiler.compiler, lava.proc.conv.models, lava.proc.io.extractor, lava.proc.sdn.models
"""


def set_up_lava(root: Path, environ: Mapping[str, str]) -> None:
    """Makes ``.venv/lava`` unless it exists already.

    Args:
        root: The repository. Its ``.venv`` must exist.
        environ: The environment.
    """
    place = SetupPaths(root)
    folder = place.venv / "lava"
    with lock_exclusively(LOCK, lambda: print("waiting for another set-up of Lava", flush=True)) as lock:
        progress = Progress(place.venv / "log", hold=lock)
        env = make_venv_environment(False, environ)
        found, version = choose_python(environ)
        key = compute_digest(LOCK, LOCK_BUILD, Path(__file__), str(folder), found, f"{version}")
        state = State(place.state)
        if state.has(STEP, key) and os.access(folder / "bin" / "python", os.X_OK):
            print(f"Lava is ready: {folder / 'bin' / 'python'}", flush=True)
            return
        _install(progress, env, root, found, version, folder)
        # Read again: `make setup` may have written meanwhile.
        State(place.state).set(STEP, key)
        progress.print_line(f"ready: {folder / 'bin' / 'python'}")


def choose_python(environ: Mapping[str, str]) -> tuple[str, tuple[int, int]]:
    """Chooses the Python for ``.venv/lava``.

    Args:
        environ: The environment, with ``PATH`` and ``PYENV_ROOT``.

    Returns:
        Path and version of a Python 3.10 that can make environments, if there is one; else of the running Python.
    """
    for candidate in _candidates(environ):
        answer = _probe(candidate)
        if answer and answer[1] == WANTED:
            return answer
    running = interpreter.describe_running()
    return interpreter.find_base_python() or running.executable, running.version


def _candidates(environ: Mapping[str, str]) -> Iterator[str]:
    for folder in environ.get("PATH", os.defpath).split(os.pathsep):
        yield os.path.join(folder, "python3.10")
    yield from sorted(glob.glob(os.path.join(glob.escape(_pyenv_root(environ)), "versions", "3.10*", "bin", "python")))
    yield from _USUAL_PLACES


def _pyenv_root(environ: Mapping[str, str]) -> str:
    return environ.get("PYENV_ROOT", "") or os.path.join(os.path.expanduser("~"), ".pyenv")


def _probe(python: str) -> tuple[str, tuple[int, int]] | None:
    """Path and version of an interpreter that can make environments; None for anything else."""
    if not os.access(python, os.X_OK):
        return None
    try:
        done = subprocess.run([python, "-I", "-c", _PROBE], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, timeout=60, check=False)
        path, version = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return str(path), (int(version[0]), int(version[1]))


def _install(progress: Progress, env: Mapping[str, str], root: Path, found: str, version: tuple[int, int],
             folder: Path) -> None:
    """Installs under another name, and renames the folder once Lava can be imported."""
    unfinished = folder.with_name("lava.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    packages = len(read_pins(LOCK))
    progress.print_line(f"Lava: an environment with Python {version[0]}.{version[1]} and {packages} pinned packages")
    progress.run("creating .venv/lava", [found, "-m", "venv", unfinished], env, "lava")
    python = unfinished / "bin" / "python"
    with_tools = {**env, "PATH": f"{python.parent}{os.pathsep}{env.get('PATH', os.defpath)}"}
    installer = Installer(python, with_tools, progress)
    if version >= _WITHOUT_NUMPY_WHEEL:
        progress.print_line("Lava: NumPy 1 is built from its source, which takes some minutes")
        installer.install(read_hashes(LOCK_BUILD), "lava")
    installer.install(read_hashes(LOCK), "lava", "--ignore-requires-python")
    shim = root / "regionmask_ros" / "lava_worker" / "shim.py"
    progress.run("importing Lava", [python, "-c", _TEST_IMPORT, shim], env, "lava")
    shutil.rmtree(folder, ignore_errors=True)
    try:
        os.replace(unfinished, folder)
    except OSError as error:
        raise SetupError(f"{folder}: {error.strerror}; delete it and run: make lava") from error
