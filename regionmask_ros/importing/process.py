"""Imports an ONNX file, and calibrates what it holds, in processes of their own, with limited memory and time.

The libraries that read and run such files are written in C++, and damaged files can make them crash, hang or fill the
memory. Then only that process ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

import regionmask_ros

from ..errors import InvalidFile, UserError, to_one_line
from ..files.safe_read import open_regular
from ..files.temporary import temporary_folder
from ..network.cards import CARD_NAME, load_card, write_card
from ..network.dense import DenseNetwork
from .calibration import Calibrated, calibrate
from .description import describe_onnx
from .detector import Imported, Wishes, import_detector

MEMORY_BYTES = 12 << 30
"""Of addresses, of which the runtimes reserve more than they use."""
CPU_S = 300
CALIBRATION_CPU_S = 1800
HANG_S = 1800.0
_STARTED_BY = f"{__package__}.process"
_RESULT, _PROGRESS = "import: ", "progress: "
_TILES_NAME = "tiles.npz"
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}
"""NumPy's threads wait for each other in loops, which counts as processor time."""

Show = Callable[[str, int, int], None]
"""Shows progress: called with what is done, how many steps of it are done, and how many there are."""

T = TypeVar("T")


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


def calibrate_apart(network: DenseNetwork, source: str, show: Show) -> Calibrated:
    """Does what ``calibrate`` does, in a process of its own.

    Args:
        network: The network.
        source: A video, a folder of images or a bag.
        show: Shows progress.

    Returns:
        The quantized network, or the reason why there is none; a crash, or a limit that was reached, is a reason, too.

    Raises:
        UserError: The source cannot be used.
    """
    with temporary_folder(Path(tempfile.gettempdir(), "regionmask_ros")) as folder:
        card = write_card(replace(network, tiles=b"", tiles_reason=""), folder)
        request = {"folder": str(folder), "calibrate": os.path.abspath(source) if os.path.exists(source) else source}
        try:
            result = _run_apart(card, request, CALIBRATION_CPU_S, show)
        except _Ended as error:
            return Calibrated(b"", to_one_line(f"calibration: {error}"))
        tiles = folder / _TILES_NAME
        return Calibrated(tiles.read_bytes() if tiles.exists() else b"", **result["calibrated"])


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


class _Ended(UserError):
    """The process ended without a result."""


def _show_nothing(what: str, done: int, total: int) -> None:
    """Progress that is not shown."""


def _run_apart(path: str | os.PathLike[str], request: dict[str, Any], cpu_s: int = 0, show: Show = _show_nothing
               ) -> dict[str, Any]:
    try:
        open_regular(path).close()
    except InvalidFile as error:
        raise error.about(path) from error
    text = json.dumps({"path": os.path.abspath(path), "memory_bytes": MEMORY_BYTES, "cpu_s": cpu_s or CPU_S, **request})
    ended, printed, errors, hung = _communicate(text, show)
    if hung:
        raise _Ended(to_one_line(f"{os.fspath(path)}: reading it does not end: it is damaged"))
    result = _read_result(printed)
    if ended or result is None:
        raise _Ended(to_one_line(f"{os.fspath(path)}: {_describe_end(ended, errors, cpu_s or CPU_S)}"))
    if "error" in result:
        raise UserError(to_one_line(result["error"].replace(os.path.abspath(path), os.fspath(path), 1)))
    return result


def _communicate(text: str, show: Show) -> tuple[int, list[str], str, bool]:
    """Runs the process: its exit status, the lines that it printed, its errors, and whether it had to be ended."""
    package = str(Path(regionmask_ros.__file__).resolve().parent.parent)
    python_path = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH", "")])])
    hung = threading.Event()
    environment = {**_ONE_THREAD, **os.environ, "PYTHONPATH": python_path}
    with tempfile.TemporaryFile("w+", errors="replace") as errors, subprocess.Popen(
            [sys.executable, "-m", _STARTED_BY], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=errors, text=True, errors="replace", start_new_session=True) as process:
        assert process.stdin is not None and process.stdout is not None

        def end() -> None:
            hung.set()
            process.kill()

        watch = threading.Timer(HANG_S, end)
        watch.start()
        try:
            with contextlib.suppress(BrokenPipeError), process.stdin:
                process.stdin.write(text)
            lines = []
            for line in process.stdout:
                if line.startswith(_PROGRESS):
                    show(*json.loads(line.removeprefix(_PROGRESS)))
                else:
                    lines.append(line)
            ended = process.wait()
        finally:
            watch.cancel()
            process.kill()
        errors.seek(0)
        return ended, lines, errors.read(), hung.is_set()


def _read_result(printed: Sequence[str]) -> dict[str, Any] | None:
    """The last line that begins as a result does, because libraries print lines of their own."""
    for line in reversed(printed):
        if line.startswith(_RESULT):
            result: dict[str, Any] = json.loads(line.removeprefix(_RESULT))
            return result
    return None


def _describe_end(ended: int, errors: str, cpu_s: int) -> str:
    if ended == -signal.SIGXCPU:
        return f"reading it takes more than {cpu_s} s: it is no detector, or damaged"
    if ended < 0:
        return (f"the runtime that reads it crashed ({signal.Signals(-ended).name}): it is damaged, or needs too much "
                "memory")
    return f"it cannot be read: {(errors.strip().splitlines() or ['no message'])[-1]}"


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
        elif "calibrate" in request:
            result = {"calibrated": _calibrate(request)}
        else:
            result = {"described": describe_onnx(request["path"])}
    except UserError as error:
        result = {"error": str(error)}
    except MemoryError:
        result = {"error": to_one_line(f"{request['path']}: it needs too much memory")}
    print(f"{_RESULT}{json.dumps(result)}", flush=True)
    return 0


def _calibrate(request: dict[str, Any]) -> dict[str, Any]:
    made = calibrate(load_card(request["path"]), request["calibrate"], _follow)
    if made.tiles:
        Path(request["folder"], _TILES_NAME).write_bytes(made.tiles)
    return {name: value for name, value in vars(made).items() if name != "tiles"}


def _follow(steps: Sequence[T], what: str) -> Iterator[T]:
    """Yields the steps, and prints how many are done."""
    for done, step in enumerate(steps):
        print(f"{_PROGRESS}{json.dumps([what, done, len(steps)])}", flush=True)
        yield step
    print(f"{_PROGRESS}{json.dumps([what, len(steps), len(steps)])}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
