"""lava-nc on newer Pythons: defaults that Python refuses become factories, in one module, while it is imported."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from regionmask_ros.lava_worker import shim

REFUSED = pytest.mark.skipif(sys.version_info < shim.NEEDED_FROM, reason="this Python accepts such defaults")
ROOT = Path(shim.__file__).resolve().parents[2]

# A package with Lava's layout: the module with such defaults, which imports another one.
VAR_MODEL = """
    from dataclasses import dataclass
    import lava.magma.core.other
    @dataclass
    class Inner:
        base: int = 0
    @dataclass
    class Outer:
        x: Inner = Inner()
        y: Inner = Inner()
        z: int = 3
    @dataclass(order=True)
    class Ordered:
        z: int = 3
"""


def run_with(tmp_path: Path, other: str, script: str) -> subprocess.CompletedProcess:
    for name, text in (("compiler/var_model.py", VAR_MODEL), ("core/other.py", other)):
        path = tmp_path / "lava" / "magma" / name
        path.parent.mkdir(parents=True)
        path.write_text(textwrap.dedent(text))
    start = f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]\n"
    return subprocess.run([sys.executable, "-c", start + textwrap.dedent(script)], capture_output=True, text=True)


@REFUSED
def test_the_module_is_imported_and_objects_do_not_share_defaults(tmp_path):
    done = run_with(tmp_path, "", """
        import dataclasses
        before = dataclasses.dataclass
        from regionmask_ros.lava_worker.shim import import_var_model
        import_var_model()
        from lava.magma.compiler.var_model import Inner, Ordered, Outer
        a, b = Outer(), Outer()
        a.x.base = 7
        assert (a.x.base, a.y.base, b.x.base, b.z) == (7, 0, 0, 3)
        assert Ordered(1) < Ordered(2)
        assert dataclasses.dataclass is before
        print("done")
    """)
    assert done.stdout == "done\n", done.stderr


@REFUSED
def test_another_module_with_such_a_default_is_still_refused(tmp_path):
    other = """
        from dataclasses import dataclass
        @dataclass
        class Inner:
            base: int = 0
        @dataclass
        class Outer:
            x: Inner = Inner()
    """
    done = run_with(tmp_path, other, """
        import dataclasses
        before = dataclasses.dataclass
        from regionmask_ros.lava_worker.shim import import_var_model
        try:
            import_var_model()
        except ValueError as error:
            assert "lava.magma.core.other" in str(error) and dataclasses.dataclass is before
            print("refused")
    """)
    assert done.stdout == "refused\n", done.stderr


@REFUSED
def test_the_module_is_refused_without_the_shim(tmp_path):
    done = run_with(tmp_path, "", "import lava.magma.compiler.var_model")
    assert done.returncode and "mutable default" in done.stderr


def test_the_pipelines_process_uses_the_original_dataclass():
    assert not hasattr(dataclasses.dataclass, "__wrapped__")


def test_lava_can_be_imported(lava_python):
    script = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'regionmask_ros' / 'lava_worker')!r})\n"
        "import dataclasses, shim\nshim.import_var_model()\n"
        "from lava.magma.compiler.var_model import CoreEncoder\n"
        "import lava.magma.compiler.compiler, lava.proc.conv.models\n"
        "assert CoreEncoder().x.base == 0 and not hasattr(dataclasses.dataclass, '__wrapped__')\nprint('done')"
    )
    done = subprocess.run([lava_python, "-c", script], capture_output=True, text=True)
    assert done.stdout == "done\n", done.stderr
