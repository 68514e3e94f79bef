"""Where the network's file is found, how it is installed, and the errors for files that cannot be read."""

from __future__ import annotations

import os
import struct
import sys
import zipfile

import pytest
from checkpoint_writer import checkpoint, pack, small_yolo_kp

from regionmask_ros.errors import UserError
from regionmask_ros.files.safe_read import MAX_BYTES
from regionmask_ros.network.files import LAVA_DL_MEMBER, find_network, install_network, load_network, user_file

SMALL_FILE = checkpoint(small_yolo_kp())
WHEEL = pack({"lava/__init__.py": b"import torch", LAVA_DL_MEMBER: SMALL_FILE}, zipfile.ZIP_DEFLATED)


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """A machine without any network file; the folder that stands for it."""
    monkeypatch.delenv("REGIONMASK_NETWORK", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "prefix"))
    monkeypatch.setattr(sys, "path", ["", str(tmp_path / "site-packages")])
    return tmp_path


def put(path, content=SMALL_FILE):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_without_a_file_the_error_lists_the_places_and_a_fix(bare):
    with pytest.raises(UserError) as error:
        find_network()
    line = str(error.value)
    assert str(bare / "prefix/share/regionmask_ros/yolo_kp.pt") in line
    assert str(bare / "home/.local/share/regionmask_ros/yolo_kp.pt") in line
    assert "make setup" in line and "model import" in line and "\n" not in line


def test_places_are_searched_in_order(bare, monkeypatch):
    places = [
        bare / "site-packages" / LAVA_DL_MEMBER,
        bare / "home/.local/share/regionmask_ros/yolo_kp.pt",
        bare / "prefix/share/regionmask_ros/yolo_kp.pt",
        bare / "by-environment.pt",
    ]
    for place in places:
        put(place)
        if place.name == "by-environment.pt":
            monkeypatch.setenv("REGIONMASK_NETWORK", str(place))
        assert find_network() == place
    assert find_network("mine.pt").name == "mine.pt"
    assert find_network("~/mine.pt") == bare / "home/mine.pt"


def test_xdg_data_home_is_used_when_it_is_absolute(bare, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(bare / "data"))
    assert user_file() == bare / "data/regionmask_ros/yolo_kp.pt"
    monkeypatch.setenv("XDG_DATA_HOME", "data")
    assert user_file() == bare / "home/.local/share/regionmask_ros/yolo_kp.pt"


def test_a_user_without_a_home_folder_has_no_user_file(bare, monkeypatch):
    # A user that the system does not know and who has no HOME: the standard library leaves "~" as it is.
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert user_file() is None
    with pytest.raises(UserError, match="no network file found"):
        find_network()
    assert find_network(str(put(bare / "x.pt"))) == bare / "x.pt"


def test_a_wrong_environment_variable_is_named_in_the_error(bare, monkeypatch):
    put(bare / "prefix/share/regionmask_ros/yolo_kp.pt")
    monkeypatch.setenv("REGIONMASK_NETWORK", str(bare / "gone.pt"))
    with pytest.raises(UserError, match="gone.pt: no such file; correct the environment variable REGIONMASK_NETWORK"):
        find_network()


def test_a_wheel_and_the_checkpoint_in_it_are_the_same_network(bare):
    from_wheel, from_file = load_network(put(bare / "lava.whl", WHEEL)), load_network(put(bare / "yolo.pt"))
    assert (from_wheel.digest, from_wheel.sha256) == (from_file.digest, from_file.sha256)
    assert from_wheel.source_file == str(bare / "lava.whl")


@pytest.mark.parametrize("make, reason", [
    (lambda path: None, "no such file or directory"),
    (lambda path: path.mkdir(), "this is a folder, not a file"),
    (lambda path: path.touch(), "empty file"),
    (os.mkfifo, "not a regular file"),
    (lambda path: path.symlink_to(path), "symbolic link"),
    (lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_WRONLY), MAX_BYTES + 1), "larger than 256 MB"),
])
def test_a_path_that_is_not_a_readable_file_is_rejected(tmp_path, make, reason):
    path = tmp_path / "yolo.pt"
    make(path)
    with pytest.raises(UserError) as error:
        load_network(path)
    assert str(error.value).startswith(f"{path}: ") and reason in str(error.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_permission_is_rejected(tmp_path):
    path = put(tmp_path / "yolo.pt")
    path.chmod(0)
    with pytest.raises(UserError, match="permission denied"):
        load_network(path)


def test_impossible_file_names_give_one_printable_line():
    for name in ("a\0b", "a\nb", "x" * 5000, "\udcff"):
        with pytest.raises(UserError) as error:
            load_network(name)
        assert str(error.value).isprintable()


def test_an_archive_without_the_network_is_rejected(tmp_path):
    with pytest.raises(UserError, match="a zip archive with no data.pkl"):
        load_network(put(tmp_path / "other.whl", pack({"numpy/__init__.py": b"x" * 99}, zipfile.ZIP_DEFLATED)))


def test_a_damaged_wheel_is_rejected(tmp_path):
    at = WHEEL.index(LAVA_DL_MEMBER.encode()) + len(LAVA_DL_MEMBER)
    flipped = bytearray(WHEEL)
    flipped[at + 500] ^= 0xFF
    bomb = bytearray(WHEEL)
    entry = WHEEL.rindex(LAVA_DL_MEMBER.encode()) - 46
    bomb[entry + 24 : entry + 28] = struct.pack("<I", MAX_BYTES + 1)
    longer = bytearray(WHEEL)
    longer[entry + 24 : entry + 28] = struct.pack("<I", len(SMALL_FILE) + 1)
    for data, reason in ((flipped, "cannot be read"), (bomb, "claims to be larger than 256 MB"),
                        (longer, "network.pt"), (WHEEL[:-40], "truncated or damaged zip archive")):
        with pytest.raises(UserError, match=reason):
            load_network(put(tmp_path / "lava.whl", bytes(data)))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_wheel_with_unsupported_compression_is_rejected(tmp_path, method):
    with pytest.raises(UserError, match="compressed by an unsupported method"):
        load_network(put(tmp_path / "lava.whl", pack({LAVA_DL_MEMBER: SMALL_FILE}, method)))


def test_install_copies_the_checkpoint_and_leaves_no_other_file(bare):
    target = bare / "new/folder/yolo_kp.pt"
    network = install_network(put(bare / "lava.whl", WHEEL), target)
    assert network.source_file == str(target) and target.read_bytes() == SMALL_FILE
    assert [path.name for path in target.parent.iterdir()] == ["yolo_kp.pt"]
    assert target.stat().st_mode & 0o777 == 0o666 & ~_umask()


def test_install_into_a_folder_uses_the_default_name(bare):
    (bare / "folder").mkdir()
    assert install_network(put(bare / "any.pt"), bare / "folder").source_file == str(bare / "folder/yolo_kp.pt")


def test_a_failed_install_keeps_the_installed_file(bare):
    target = put(bare / "folder/yolo_kp.pt", b"as it was")
    with pytest.raises(UserError, match="bad.pt: truncated"):
        install_network(put(bare / "bad.pt", SMALL_FILE[:-50]), target)
    assert target.read_bytes() == b"as it was"
    assert [path.name for path in target.parent.iterdir()] == ["yolo_kp.pt"]


def test_a_target_that_cannot_be_written_is_rejected(bare):
    source, in_the_way = put(bare / "yolo.pt"), put(bare / "file", b"")
    with pytest.raises(UserError, match="file/yolo_kp.pt: cannot be written"):
        install_network(source, in_the_way / "yolo_kp.pt")
    assert sorted(path.name for path in bare.iterdir()) == ["file", "yolo.pt"]


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
