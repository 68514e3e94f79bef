"""The lock files are complete, exact, fit each other, and name no place on the network or on a disk."""

from __future__ import annotations

import importlib.metadata
import itertools
import re

import pytest

from bootstrap.lava import LOCK as LOCK_LAVA
from bootstrap.packages import LOCK, LOCK_OLD_NUMPY, make_constraints, read_pins

PIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[0-9][A-Za-z0-9.]*"
                 r'(; (python_version < "3\.1[0-9]"|platform_machine == "x86_64"))?')


OPTIONAL = {
    "runtimes": (LOCK.with_name("lock_runtimes.txt"), {"onnx", "onnxruntime", "openvino"}),
    "rerun-setup": (LOCK.with_name("lock_rerun.txt"), {"rerun-sdk"}),
    "check-setup": (LOCK.with_name("lock_check.txt"), {"codespell", "import-linter", "mypy", "ruff"}),
}
"""Of each target of make: its lock file, and packages that must be in it."""

LOCK_AUDIT = LOCK.with_name("lock_audit.txt")

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


@pytest.mark.parametrize(
    "lock", [LOCK, LOCK_OLD_NUMPY, LOCK_LAVA, LOCK_AUDIT, *(lock for lock, _ in OPTIONAL.values())],
    ids=lambda lock: lock.name)
def test_every_line_is_one_exact_version(lock):
    assert [line for line in read_pins(lock) if not PIN.fullmatch(line)] == []
    assert len(versions(read_pins(lock))) == len(read_pins(lock))
    assert "://" not in lock.read_text() and "\n-" not in lock.read_text()


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


@pytest.mark.parametrize("numpy, numba", [
    ("1.21.5", versions(read_pins(LOCK_OLD_NUMPY))["numba"]), ("1.22.4", versions(read_pins(LOCK_OLD_NUMPY))["numba"]),
    ("1.23.0", versions(read_pins(LOCK))["numba"]), ("1.26.4", versions(read_pins(LOCK))["numba"]),
    ("2.3.4", versions(read_pins(LOCK))["numba"]),
])
def test_over_ros_its_numpy_stays_and_numba_fits_it(numpy, numba):
    constraints = versions(make_constraints(numpy))
    assert constraints["numpy"] == numpy and constraints["numba"] == numba
    assert not [name for name in constraints if name.startswith("ros-")]


def test_old_releases_take_the_place_of_locked_ones():
    assert set(versions(read_pins(LOCK_OLD_NUMPY))) <= set(versions(read_pins(LOCK)))


@each_optional
def test_optional_packages_are_new_ones_and_have_a_target(target):
    lock, packages = OPTIONAL[target]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9.]*", line) for line in read_pins(lock))
    assert packages <= set(versions(read_pins(lock)))
    assert set(versions(read_pins(lock))).isdisjoint(versions(read_pins(LOCK)))
    assert f"bootstrap/{lock.name}" in (LOCK.parents[1] / "Makefile").read_text()


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
