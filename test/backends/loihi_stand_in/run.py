"""Runs a script with the stand-in instead of the extension."""

from __future__ import annotations

import importlib.util
import os
import runpy
import sys


def main() -> None:
    sys.argv = sys.argv[1:]
    if "--facts" not in sys.argv:
        shim_file = os.path.join(os.path.dirname(sys.argv[0]), "shim.py")
        spec = importlib.util.spec_from_file_location("stand_in_shim", shim_file)
        shim = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(shim)
        shim.import_var_model()
        import stand_in_board

        stand_in_board.install()
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
