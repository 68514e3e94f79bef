"""Imports an ONNX file in a process of its own, with limited memory and time.

The libraries that read and run such files are written in C++, and damaged files can make them crash, hang or fill the
memory. Then only that process ends.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import regionmask_ros

from ..errors import InvalidFile, UserError, to_one_line
from ..files.safe_read import open_regular
from ..files.temporary import temporary_folder
from ..network.cards import CARD_NAME, load_card, write_card
from .description import describe_onnx
from .detector import Imported, Wishes, import_detector

MEMORY_BYTES = 12 << 30
"""Of addresses, of which the runtimes reserve more than they use."""
CPU_S = 300
HANG_S = 1800.0
_STARTED_BY = f"{__package__}.process"
_RESULT = "import: "


def import_apart(path: str | os.PathLike[str], wishes: Wishes) -> Imported:
    """Does what ``import_detector`` does, in a process of its own.

    Args:
        path: The ONNX file.
        wishes: What the user knows.

    Returns:
        The network.

    Raises:
        UserError: See ``import_detector``; or the process crashed, or reached a limit.
    """
    with temporary_folder(Path(tempfile.gettempdir(), "regionmask_ros")) as folder:
        result = _run_apart(path, {"folder": str(folder), "wishes": asdict(wishes)})
        return Imported(load_card(folder / CARD_NAME), tuple(result["notes"]))


def describe_onnx_apart(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Does what ``describe_onnx`` does, in a process of its own.

    Args:
        path: The ONNX file.

    Returns:
        The description.

    Raises:
        UserError: The file cannot be parsed; or the process crashed, or reached a limit.
    """
    described: dict[str, Any] = _run_apart(path, {})["described"]
    return {**described, "file": os.fspath(path)}


def _run_apart(path: str | os.PathLike[str], request: dict[str, Any]) -> dict[str, Any]:
    try:
        open_regular(path).close()
    except InvalidFile as error:
        raise error.about(path) from error
    package = str(Path(regionmask_ros.__file__).resolve().parent.parent)
    python_path = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH", "")])])
    text = json.dumps({"path": os.path.abspath(path), "memory_bytes": MEMORY_BYTES, "cpu_s": CPU_S, **request})
    try:
        done = subprocess.run(
            [sys.executable, "-m", _STARTED_BY], input=text, env={**os.environ, "PYTHONPATH": python_path},
            capture_output=True, text=True, errors="replace", check=False, start_new_session=True, timeout=HANG_S)
    except subprocess.TimeoutExpired:
        raise UserError(to_one_line(f"{os.fspath(path)}: reading it does not end: it is damaged")) from None
    result = _read_result(done.stdout)
    if done.returncode or result is None:
        raise UserError(to_one_line(f"{os.fspath(path)}: {_describe_end(done)}"))
    if "error" in result:
        raise UserError(to_one_line(result["error"].replace(os.path.abspath(path), os.fspath(path), 1)))
    return result


def _read_result(printed: str) -> dict[str, Any] | None:
    """The last line that begins as a result does, because libraries print lines of their own."""
    for line in reversed(printed.splitlines()):
        if line.startswith(_RESULT):
            result: dict[str, Any] = json.loads(line.removeprefix(_RESULT))
            return result
    return None


def _describe_end(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode == -signal.SIGXCPU:
        return f"reading it takes more than {CPU_S} s: it is no detector, or damaged"
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        return f"the runtime that reads it crashed ({name}): it is damaged, or needs too much memory"
    return f"it cannot be read: {(done.stderr.strip().splitlines() or ['no message'])[-1]}"


def _limit(kind: int, wanted: int) -> None:
    _, highest = resource.getrlimit(kind)
    limit = wanted if highest == resource.RLIM_INFINITY else min(wanted, highest)
    resource.setrlimit(kind, (limit, highest))


def main() -> int:
    """Reads a request from the standard input, does what it asks for, and prints the result."""
    request = json.load(sys.stdin)
    _limit(resource.RLIMIT_AS, request["memory_bytes"])
    _limit(resource.RLIMIT_CPU, request["cpu_s"])
    _limit(resource.RLIMIT_CORE, 0)
    try:
        if "wishes" in request:
            found = import_detector(request["path"], Wishes(**request["wishes"]))
            write_card(found.network, Path(request["folder"]))
            result: dict[str, Any] = {"notes": found.notes}
        else:
            result = {"described": describe_onnx(request["path"])}
    except UserError as error:
        result = {"error": str(error)}
    except MemoryError:
        result = {"error": to_one_line(f"{request['path']}: it needs too much memory")}
    print(f"{_RESULT}{json.dumps(result)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
