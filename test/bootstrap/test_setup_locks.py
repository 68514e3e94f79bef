"""The lock files are complete, exact, and name no place on the network or on a disk."""

from __future__ import annotations

import importlib.metadata
import re

import pytest

from bootstrap.lava import LOCK as LOCK_LAVA
from bootstrap.packages import LOCK, LOCK_OLD_NUMPY, make_constraints, read_pins

PIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[0-9][A-Za-z0-9.]*"
                 r'(; (python_version < "3\.1[0-9]"|platform_machine == "x86_64"))?')


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def versions(lines: list[str]) -> dict[str, str]:
    return {normal(line.split("==")[0]): line.split("==")[1].split(";")[0] for line in lines}


@pytest.mark.parametrize("lock", [LOCK, LOCK_OLD_NUMPY, LOCK_LAVA], ids=lambda lock: lock.name)
def test_every_line_is_one_exact_version(lock):
    assert [line for line in read_pins(lock) if not PIN.fullmatch(line)] == []
    assert len(versions(read_pins(lock))) == len(read_pins(lock))
    assert "://" not in lock.read_text() and "\n-" not in lock.read_text()


def test_what_the_packages_need_is_locked_too():
    """They are installed without looking at what they need, so a hole in the lock would show as an ImportError."""
    requirement = pytest.importorskip("packaging.requirements", reason="needs the package `packaging`").Requirement
    locked = versions(read_pins(LOCK))
    installed = {normal(found.metadata["Name"]): found for found in importlib.metadata.distributions()}
    same = [name for name, version in locked.items() if name in installed and installed[name].version == version]
    if len(same) < 100:
        pytest.skip(f"only {len(same)} of the locked packages are installed here (a sourced ROS brings its own)")
    needs = [(name, requirement(text)) for name in same for text in installed[name].requires or ()]
    holes = [(name, str(need)) for name, need in needs
             if (need.marker is None or need.marker.evaluate({"extra": ""}))
             and not need.specifier.contains(locked.get(normal(need.name), "0"), prereleases=True)]
    assert len(needs) > 100 and holes == []


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
