"""What `make bench-setup`, `rerun-setup` and `check-setup` install is exact, complete, and disturbs nothing."""

from __future__ import annotations

import importlib.metadata
import itertools
import re

import pytest

from bootstrap.packages import LOCK, read_pins

LOCKS = {"bench-setup": "lock_bench.txt", "rerun-setup": "lock_rerun.txt", "check-setup": "lock_check.txt"}
FOR = {"bench-setup": {"onnx", "onnxruntime", "openvino"}, "rerun-setup": {"rerun-sdk"},
       "check-setup": {"codespell", "import-linter", "mypy", "ruff"}}

every_lock = pytest.mark.parametrize(("target", "lock"), [(t, LOCK.with_name(name)) for t, name in LOCKS.items()])


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def versions(path) -> dict[str, str]:
    return {normal(line.split("==")[0]): line.split("==")[1].split(";")[0].strip() for line in read_pins(path)}


@every_lock
def test_every_line_is_one_exact_version_of_a_package_that_the_setup_does_not_have(target, lock):
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9.]*", line) for line in read_pins(lock))
    assert FOR[target] <= set(versions(lock))
    assert set(versions(lock)).isdisjoint(versions(LOCK)) and "://" not in lock.read_text()
    assert f"bootstrap/{lock.name}" in (LOCK.parents[1] / "Makefile").read_text()


@pytest.mark.parametrize(("first", "second"), list(itertools.combinations(LOCKS.values(), 2)))
def test_all_can_be_installed_together(first, second):
    one, other = (versions(LOCK.with_name(name)) for name in (first, second))
    assert all(one[name] == other[name] for name in one.keys() & other.keys())


@every_lock
def test_what_the_packages_need_is_locked_too_and_numpy_fits_them(target, lock):
    requirement = pytest.importorskip("packaging.requirements", reason="needs the package `packaging`").Requirement
    locked = {**versions(LOCK), **versions(lock)}
    holes, looked = [], 0
    for name, version in versions(lock).items():
        try:
            found = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            pytest.skip(f"{name} is not installed; `make {target}` brings it")
        if found.version.partition("-")[0] != version:
            pytest.skip(f"{name} {found.version} is installed, not the locked {version}")
        for need in map(requirement, found.requires or ()):
            looked += 1
            applies = need.marker is None or need.marker.evaluate({"extra": ""})
            if applies and not need.specifier.contains(locked.get(normal(need.name), "0"), prereleases=True):
                holes.append((name, str(need)))
    assert looked > 5 and holes == []
