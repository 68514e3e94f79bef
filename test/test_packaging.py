"""The ROS package is whole: everything is installed, dependencies are declared, versions agree, no path leaks."""

from __future__ import annotations

import ast
import filecmp
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

import regionmask_ros

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "regionmask_ros"
LIBRARY = "tiles/native/libtiles.so"

# Where the name of an import and the key of its Debian or ROS package differ.
KEYS = {"PIL": "python3-pil", "argcomplete": "python3-argcomplete", "cv2": "python3-opencv", "h5py": "python3-h5py",
        "hypothesis": "python3-hypothesis", "llvmlite": "python3-numba", "matplotlib": "python3-matplotlib",
        "numba": "python3-numba", "numpy": "python3-numpy", "pytest": "python3-pytest", "tqdm": "python3-tqdm",
        "yaml": "python3-yaml"}
# Imported inside the one file that needs it, and no key exists for it. rosbags brings lz4 and backports.zstd, which is
# compression.zstd from Python 3.14 on.
OPTIONAL = {"av", "backports", "compression", "lz4", "rosbags", "foxglove", "rerun", "ray", "fsspec", "pyarrow", "onnx",
            "onnxruntime", "openvino", "torch", "lava", "pycocotools", "simplejpeg"}

needs_colcon = pytest.mark.skipif(find_spec("colcon_core") is None or find_spec("colcon_ros") is None,
                                  reason="colcon is not installed for this Python")


def manifest() -> ET.Element:
    return ET.parse(ROOT / "package.xml").getroot()


def commands() -> set[str]:
    return {path.stem for path in (ROOT / PACKAGE / "commands").glob("[!_]*.py")}


def committed_files() -> list[Path]:
    """What git has or would take; without git, all but the folders that tools make."""
    try:
        listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT,
                                check=True, capture_output=True).stdout.decode().split("\0")
        return [ROOT / name for name in listed if name and (ROOT / name).is_file()]
    except (OSError, subprocess.CalledProcessError):
        made = {".venv", ".git", "demo_output", "site", "build", "install", "log", "__pycache__", ".pytest_cache",
                ".hypothesis", ".mypy_cache", ".ruff_cache"}
        return [path for path in ROOT.rglob("*") if path.is_file() and made.isdisjoint(path.relative_to(ROOT).parts)]


def imported_modules(source: Path) -> set[str]:
    """Top-level names of absolute imports, those by `import_module("name")` included."""
    names = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module)
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == "import_module":
            names.update(argument.value for argument in node.args[:1] if isinstance(argument, ast.Constant))
    return {name.split(".")[0] for name in names}


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    """The committed files alone, so that building leaves nothing in the repository."""
    target = tmp_path_factory.mktemp("workspace") / "src" / PACKAGE
    for path in committed_files():
        copy = target / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    return target


COMPILER = """#!{python}
import shutil, subprocess, sys
from pathlib import Path

*command, made = sys.argv[1:]
if "-c" not in command:
    sys.exit(subprocess.call(["g++", *command, made]))
kept, of = Path(__file__).with_name(Path(made).name), Path(__file__).with_name(f"{{Path(made).name}}.command")
if not kept.exists() or of.read_text() != repr(command):
    status = subprocess.call(["g++", *command, str(kept), "-O0"])
    if status:
        sys.exit(status)
    of.write_text(repr(command))
shutil.copy(kept, made)
"""
"""A compiler that compiles a file once, and does not optimize: a tenth of the time of as many builds."""


@pytest.fixture(scope="module", autouse=True)
def quick_compiler(tmp_path_factory):
    """All builds are of the same sources: what the same command has compiled is used again."""
    program = tmp_path_factory.mktemp("compiler") / "c++"
    program.write_text(COMPILER.format(python=sys.executable))
    program.chmod(0o755)
    with pytest.MonkeyPatch.context() as changes:
        if shutil.which("g++"):
            changes.setenv("CXX", str(program))
        yield


def colcon(workspace: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "colcon", "--log-base", str(workspace / "log"), *arguments],
                          cwd=workspace, capture_output=True, text=True,
                          env={**os.environ, "PYTHONWARNINGS": "ignore"})


@pytest.fixture(scope="module", params=[(), ("--symlink-install",)], ids=["copied", "symlinked"])
def installed(request, clone, tmp_path_factory) -> Path:
    """The prefix that `colcon build` fills."""
    workspace = tmp_path_factory.mktemp("built")
    done = colcon(workspace, "build", "--base-paths", str(clone), *request.param)
    assert done.returncode == 0, done.stdout + done.stderr
    return workspace / "install" / PACKAGE


def files_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts}


@needs_colcon
@pytest.mark.parametrize("folder", ["launch", "config"])
def test_everything_in_launch_and_config_is_installed(installed, clone, folder):
    there = installed / "share" / PACKAGE / folder
    wanted = files_below(clone / folder)
    assert wanted and files_below(there) == wanted
    assert filecmp.cmpfiles(clone / folder, there, wanted, shallow=False)[1:] == ([], [])


@needs_colcon
def test_marker_manifest_and_environment_hook_are_installed(installed):
    share = installed / "share"
    assert (share / "ament_index" / "resource_index" / "packages" / PACKAGE).is_file()
    assert (share / PACKAGE / "package.xml").read_bytes() == (ROOT / "package.xml").read_bytes()
    # colcon leaves this out when it cannot make sense of package.xml, and then ROS does not find the package.
    assert (share / PACKAGE / "hook" / "ament_prefix_path.sh").is_file()


@needs_colcon
def test_every_command_is_an_executable_for_ros2_run(installed):
    folder = installed / "lib" / PACKAGE
    assert {path.name for path in folder.iterdir()} == commands() | {PACKAGE} >= {"detector", "play", "run", "model"}
    assert all(os.access(path, os.X_OK) for path in folder.iterdir())


@needs_colcon
def test_the_installed_package_runs_in_its_own_environment(installed, tmp_path):
    """As a user does it: source the workspace, run the executable. Its data files have come along."""
    setup, script = installed.parent / "local_setup.sh", installed / "lib" / PACKAGE / "run"
    show = "import regionmask_ros; print(regionmask_ros.__path__[0])"
    steps = '. "$1" && cd "$2" && "$3" --help && "$4" -c "$5"'
    done = subprocess.run(["sh", "-c", steps, "sh", str(setup), str(tmp_path), str(script), sys.executable, show],
                          cwd=installed.parent, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "") and "SOURCE" in done.stdout
    used = Path(done.stdout.splitlines()[-1])
    assert ROOT not in used.resolve().parents
    assert {name for name in files_below(ROOT / PACKAGE) if not name.endswith((".py", ".pyc"))} <= files_below(used)


@needs_colcon
def test_colcon_test_runs_pytest_and_counts(clone, tmp_path):
    """On a copy with one failing test: a `colcon test` that finds no tests would pass."""
    small = tmp_path / "src" / PACKAGE
    shutil.copytree(clone, small, ignore=shutil.ignore_patterns("test"))
    (small / "test").mkdir()
    (small / "test" / "test_two.py").write_text("def test_good():\n    pass\n\n\ndef test_bad():\n    assert False\n")
    paths = ("--base-paths", str(small))
    assert colcon(tmp_path, "build", *paths).returncode == 0
    colcon(tmp_path, "test", *paths)
    result = colcon(tmp_path, "test-result", "--test-result-base", str(tmp_path / "build"))
    assert "2 tests, 0 errors, 1 failure" in result.stdout and result.returncode == 1


def keys_of(sources: list[Path]) -> set[str]:
    """Keys of everything that the files import and that is neither Python's own nor a file beside them."""
    known = {PACKAGE, "bootstrap", "checks", *OPTIONAL, *sys.stdlib_module_names, *(path.stem for path in sources)}
    return {KEYS.get(name, name) for name in set().union(*map(imported_modules, sources)) - known}


def declared(kind: str) -> set[str]:
    return {element.text for element in manifest().findall(kind)}


def test_every_import_is_declared_and_every_dependency_is_imported():
    sources = [*(ROOT / PACKAGE).rglob("*.py"), *(ROOT / "launch").rglob("*.py")]
    assert keys_of(sources) == declared("exec_depend")


def test_what_only_tests_import_is_declared_for_them():
    assert keys_of([*(ROOT / "test").rglob("*.py")]) - declared("exec_depend") == declared("test_depend")


def test_versions_agree():
    changes = re.search(r"^(\d+\.\d+\.\d+) ", (ROOT / "CHANGELOG.rst").read_text(), re.MULTILINE)
    assert manifest().findtext("version") == changes[1] == regionmask_ros.__version__


def test_a_wheel_from_a_source_archive_has_everything_and_its_commands_start(clone, tmp_path):
    def run(*command: str, **options) -> str:
        done = subprocess.run(command, capture_output=True, text=True, **options)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run(sys.executable, "setup.py", "--quiet", "sdist", "--dist-dir", str(tmp_path), cwd=clone)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--no-index", "--no-deps",
           "--no-build-isolation", "--no-compile")
    # pip builds the wheel from the archive, and installs it with a prefix as it would in an environment.
    run(*pip, "--prefix", str(tmp_path / "there"), str(tmp_path / f"{PACKAGE}-{regionmask_ros.__version__}.tar.gz"))
    (package,) = (tmp_path / "there").rglob(f"site-packages/{PACKAGE}")
    assert files_below(package) == files_below(clone / PACKAGE) | {LIBRARY}
    share = tmp_path / "there" / "share"
    assert (share / "ament_index" / "resource_index" / "packages" / PACKAGE).is_file()
    for folder in ("launch", "config"):
        assert files_below(share / PACKAGE / folder) == files_below(clone / folder)
    assert commands() <= {path.name for path in (tmp_path / "there" / "bin").iterdir()}
    shown = run(str(tmp_path / "there" / "bin" / "run"), "--help", cwd=tmp_path,
                env={**os.environ, "PYTHONPATH": str(package.parent)})
    assert "SOURCE" in shown


def test_the_paper_and_the_software_can_be_cited():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert cited["cff-version"] == "1.2.0" and cited["license"] == "Apache-2.0" and "version" not in cited
    paper = cited["preferred-citation"]
    assert (paper["year"], len(paper["authors"])) == (2025, 6) and "2503.16775" in paper["url"]


def test_the_manifest_says_what_ros_tools_ask_for():
    root = manifest()
    assert root.get("format") == "3" and root.findtext("license") == "Apache-2.0"
    assert root.findtext("export/build_type") == "ament_python"
    assert re.fullmatch(r"[\w.+-]+@[\w-]+(\.[\w-]+)+", root.find("maintainer").get("email"))
    assert "Apache License" in (ROOT / "LICENSE").read_text()


def test_no_file_names_a_place_of_one_machine():
    somewhere = re.compile("|".join([re.escape(str(ROOT)) + r"\b", re.escape(str(Path.home())) + "/",
                                     "/(?:home|root|Users|work)" + "/[A-Za-z.]"]))
    found = []
    for path in committed_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # images and arrays
        found += [f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
                  for number, line in enumerate(text.splitlines(), 1) if somewhere.search(line)]
    assert found == []
