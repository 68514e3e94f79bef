from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from regionmask_ros.ros.log_folder import prepare_log_folder


@pytest.fixture
def blocked(tmp_path) -> Path:
    """A home in which nothing can be made, for root, too."""
    (tmp_path / "home").touch()
    return tmp_path / "home"


def test_a_folder_that_can_be_written_stays(tmp_path):
    for environment in ({"HOME": str(tmp_path)}, {"ROS_HOME": str(tmp_path / "ros"), "HOME": "/nowhere"},
                        {"ROS_LOG_DIR": str(tmp_path / "log"), "HOME": "/nowhere"}):
        before = dict(environment)
        assert prepare_log_folder(environment) == "" and environment == before


@pytest.mark.parametrize("names", [("HOME",), ("HOME", "ROS_HOME"), ("HOME", "ROS_LOG_DIR"), ()])
def test_another_folder_is_found_and_said(blocked, tmp_path, names):
    environment = {name: str(blocked) for name in names} | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    line = prepare_log_folder(environment)
    assert environment["ROS_LOG_DIR"] == str(tmp_path / "cache" / "regionmask_ros" / "log")
    assert environment["ROS_LOG_DIR"] in line and os.path.isdir(environment["ROS_LOG_DIR"])


def test_without_a_cache_it_is_a_private_folder(blocked, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    environment = {"HOME": str(blocked)}
    assert prepare_log_folder(environment)
    private = Path(environment["ROS_LOG_DIR"]).parent
    assert private == tmp_path / f"regionmask_ros-{os.geteuid()}" and private.stat().st_mode & 0o777 == 0o700
    private.chmod(0o777)
    assert "nor can any other folder be used" in prepare_log_folder({"HOME": str(blocked)})


def test_a_session_starts_without_a_home(blocked, tmp_path):
    pytest.importorskip("rclpy")
    code = "from regionmask_ros.ros.session import RosSession\nwith RosSession(): print('started')"
    environment = {**os.environ, "HOME": str(blocked), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    for name in ("ROS_LOG_DIR", "ROS_HOME"):
        environment.pop(name, None)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout == "started\n" and done.returncode == 0
    assert done.stderr.count("\n") == 1 and "ROS_LOG_DIR" in done.stderr
