"""Folders whose content this program would run: used only if nobody else can write there."""

from __future__ import annotations

import os

import pytest

from regionmask_ros.user_folders import cache_folder, find_distrust, make_private


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty home."""
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_a_folder_that_we_make_is_trusted(home, monkeypatch):
    previous = os.umask(0)
    try:
        make_private(home / "a" / "b")
    finally:
        os.umask(previous)
    assert find_distrust(home / "a" / "b") == ""
    assert {(home / part).stat().st_mode & 0o777 for part in ("a", "a/b")} == {0o700}


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702, 0o1777])
def test_a_folder_that_others_can_write_is_not(home, mode):
    (home / "open").mkdir()
    (home / "open").chmod(mode)
    assert find_distrust(home / "open") == f"other users can write to {home / 'open'}: chmod go-w it"


def test_nor_is_one_that_others_can_exchange(home):
    make_private(home / "shared" / "ours")
    (home / "shared").chmod(0o777)
    assert str(home / "shared") in find_distrust(home / "shared" / "ours")
    (home / "shared").chmod(0o1777)
    assert find_distrust(home / "shared" / "ours") == "", "as /tmp: only the owner can rename"


def test_nor_is_one_behind_a_link_that_others_can_exchange(home):
    make_private(home / "ours")
    (home / "shared").mkdir()
    (home / "shared" / "link").symlink_to(home / "ours")
    (home / "shared").chmod(0o777)
    assert str(home / "shared") in find_distrust(home / "shared" / "link")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
@pytest.mark.parametrize("given", ["theirs", "theirs/ours"])
def test_nor_is_one_of_another_user(home, given):
    make_private(home / "theirs" / "ours")
    os.chown(home / given, 12345, 12345)
    assert find_distrust(home / "theirs" / "ours") == (
        f"{home / given} belongs to another user: name another folder")


def test_what_lies_above_the_home_is_the_administrators_matter(tmp_path, monkeypatch):
    (tmp_path / "homes").mkdir()
    make_private(tmp_path / "homes" / "user" / "cache")
    (tmp_path / "homes").chmod(0o777)
    assert find_distrust(tmp_path / "homes" / "user" / "cache") != ""
    monkeypatch.setenv("HOME", str(tmp_path / "homes" / "user"))
    assert find_distrust(tmp_path / "homes" / "user" / "cache") == ""


def test_a_file_in_the_way_is_an_error(home):
    (home / "file").write_text("")
    for folder in (home / "file", home / "file" / "below"):
        with pytest.raises(OSError):
            make_private(folder)


def test_a_cache_that_cannot_be_written_is_kept_in_the_virtual_environment(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.prefix", str(tmp_path / "venv"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file" / "cache"))
    assert cache_folder() == tmp_path / "file" / "cache" / "regionmask_ros"
    (tmp_path / "file").touch()  # nothing can be made in it, for root, too
    assert cache_folder() == tmp_path / "venv" / "cache" / "regionmask_ros"
