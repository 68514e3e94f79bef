"""What `make bench-setup` installs is exact, complete, and disturbs nothing."""

from __future__ import annotations

import importlib.metadata
import re

import pytest
from bootstrap.packages import LOCK, pins

BENCH_LOCK = LOCK.with_name("lock_bench.txt")


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def versions(path) -> dict[str, str]:
    return {normal(line.split("==")[0]): line.split("==")[1].split(";")[0].strip() for line in pins(path)}


def test_every_line_is_one_exact_version_of_a_package_that_the_setup_does_not_have():
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9.]*", line) for line in pins(BENCH_LOCK))
    assert {"onnx", "onnxruntime", "openvino"} <= set(versions(BENCH_LOCK))
    assert set(versions(BENCH_LOCK)).isdisjoint(versions(LOCK)) and "://" not in BENCH_LOCK.read_text()


def test_what_the_packages_need_is_locked_too_and_numpy_fits_them():
    requirement = pytest.importorskip("packaging.requirements", reason="needs the package `packaging`").Requirement
    locked = {**versions(LOCK), **versions(BENCH_LOCK)}
    holes, looked = [], 0
    for name, version in versions(BENCH_LOCK).items():
        try:
            found = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            pytest.skip(f"{name} is not installed; `make bench-setup` brings it")
        if found.version.partition("-")[0] != version:
            pytest.skip(f"{name} {found.version} is installed, not the locked {version}")
        for need in map(requirement, found.requires or ()):
            looked += 1
            if need.marker is None or need.marker.evaluate({"extra": ""}):
                if not need.specifier.contains(locked.get(normal(need.name), "0"), prereleases=True):
                    holes.append((name, str(need)))
    assert looked > 5 and holes == []
