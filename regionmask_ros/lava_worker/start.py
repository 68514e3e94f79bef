"""The process that runs Lava: ``INTERPRETER start.py FD FOLDER``.

FD is one end of a connected stream socket, FOLDER holds all temporary files and goes with the process.
``INTERPRETER start.py --facts`` prints, as JSON, what this interpreter has.

It is started by its path, because of the pipeline's package this interpreter may know nothing: what that needs (OpenCV,
Numba, ROS) is not here, and what Lava needs (NumPy 1) must not be there.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

PACKAGE = "regionmask_ros"


def _add_package_path() -> None:
    """Makes ``regionmask_ros`` importable from where this file lies, and nothing else that lies beside it."""
    room = Path(__file__).resolve().parent
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != room]
    folder = room.parent
    spec = importlib.util.spec_from_file_location(
        PACKAGE, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    package = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = package
    spec.loader.exec_module(package)


if __name__ == "__main__":
    _add_package_path()
    if sys.argv[1:] == ["--facts"]:
        from regionmask_ros.lava_worker.probe import main as tell

        tell()
    else:
        from regionmask_ros.lava_worker.main import main

        main(int(sys.argv[1]), sys.argv[2])
