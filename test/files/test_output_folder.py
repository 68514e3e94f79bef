"""Files with names from anyone: below one folder, and nowhere else."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionmask_ros.errors import UserError
from regionmask_ros.files import output_folder
from regionmask_ros.files.output_folder import find_output_folder, split_output_name, write_below


def write(folder: Path, name: str, content: bytes = b"new") -> Path:
    return write_below(folder, split_output_name("output", name, ".npz"), content)


def tree(folder: Path) -> dict[str, object]:
    """Every path below a folder with what it is."""
    return {str(path.relative_to(folder)): os.readlink(path) if path.is_symlink()
            else path.read_bytes() if path.is_file() else path.stat().st_mode for path in sorted(folder.rglob("*"))}


@pytest.fixture
def place(tmp_path):
    """An output folder with a folder and a file in it, beside files of others."""
    (tmp_path / "out" / "sub").mkdir(parents=True)
    (tmp_path / "out" / "old.npz").write_bytes(b"old")
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "secret.npz").write_bytes(b"secret")
    return tmp_path


@pytest.mark.parametrize("name", ["new.npz", "old.npz", "sub/new.npz", "ü € .npz", ".hidden.npz"])
def test_a_file_is_written_whole(place, name):
    assert write(place / "out", name) == place / "out" / name
    assert (place / "out" / name).read_bytes() == b"new"
    assert not list((place / "out").rglob("*partial*"))


def test_what_a_dead_process_has_left_is_removed(place):
    (place / "out" / ".old.01234567.partial.npz").write_bytes(b"half")
    write(place / "out", "new.npz")
    assert sorted(os.listdir(place / "out")) == ["new.npz", "old.npz", "sub"]


def test_the_folder_itself_is_made_for_its_owner_alone(tmp_path):
    write(tmp_path / "made" / "out", "a.npz")
    assert (tmp_path / "made" / "out").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", [
    "", ".", "..", "/", "/etc/x.npz", "../x.npz", "sub/../../x.npz", "sub/", "sub//x.npz", "./x.npz", "a\0.npz",
    "a\n.npz", "\ud800.npz", "x.py", ".npz", "sub/.npz", "x.npz/", "x" * 300 + ".npz", "a/" * 20 + "x.npz",
])
def test_a_name_that_leads_out_or_is_none_is_refused_before_anything_happens(place, name):
    before = tree(place)
    with pytest.raises(UserError, match="^output '") as refused:
        write(place / "out", name)
    assert tree(place) == before and str(refused.value).isprintable() and len(str(refused.value)) < 400


@given(st.text(st.sampled_from("./a\0npz~\n"), max_size=12))
def test_every_accepted_name_stays_below_the_folder(name):
    try:
        parts = split_output_name("output", name, ".npz")
    except UserError:
        return
    joined = os.path.normpath(os.path.join("/top", *parts))
    assert joined == f"/top/{name}" and joined.endswith(".npz")


@pytest.mark.parametrize(("link", "target"), [
    ("link.npz", "../others/secret.npz"), ("link.npz", "../others/new.npz"), ("link.npz", "old.npz"),
    ("link", "../others"), ("link", "sub"), ("link", "/")])
def test_no_link_is_followed(place, link, target):
    (place / "out" / link).symlink_to(target)
    before = tree(place)
    with pytest.raises(UserError, match="cannot be written: (something else|a part of its path is a link)"):
        write(place / "out", link if link.endswith(".npz") else f"{link}/new.npz")
    assert tree(place) == before


def test_the_users_own_folder_may_be_a_link(place):
    (place / "link").symlink_to("out")
    write(place / "link", "new.npz")
    assert (place / "out" / "new.npz").exists()


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_target_that_is_no_regular_file_is_refused(place, make):
    make(place / "out" / "odd.npz")
    with pytest.raises(UserError, match="something else than a regular file has this name"):
        write(place / "out", "odd.npz")


def test_no_folder_is_made_below(place):
    with pytest.raises(UserError, match="No such file or directory"):
        write(place / "out", "missing/new.npz")
    assert not (place / "out" / "missing").exists()


def test_a_second_name_of_a_file_elsewhere_does_not_lead_there(place):
    os.link(place / "others" / "secret.npz", place / "out" / "same.npz")
    write(place / "out", "same.npz")
    assert (place / "others" / "secret.npz").read_bytes() == b"secret"


def test_a_full_folder_gets_no_new_files_but_old_ones_are_replaced(place, monkeypatch):
    monkeypatch.setattr(output_folder, "MAX_ENTRIES", 2)
    with pytest.raises(UserError, match="holds 2 files or more"):
        write(place / "out", "new.npz")
    write(place / "out", "old.npz")
    assert (place / "out" / "old.npz").read_bytes() == b"new"


def test_a_folder_that_is_exchanged_for_a_link_meanwhile_leads_nowhere(place):
    """A race: another thread exchanges a folder of the path all the time."""
    out, over = place / "out", threading.Event()
    (out / "link").symlink_to("../others")

    def exchange() -> None:
        while not over.is_set():
            os.rename(out / "sub", out / "spare")
            os.rename(out / "link", out / "sub")
            os.rename(out / "sub", out / "link")
            os.rename(out / "spare", out / "sub")

    thread = threading.Thread(target=exchange)
    thread.start()
    outcomes = set()
    try:
        for attempt in range(20_000):
            if attempt >= 300 and len(outcomes) == 2:
                break
            try:
                write(out, "sub/new.npz")
                outcomes.add("written")
            except UserError:
                outcomes.add("refused")
    finally:
        over.set()
        thread.join()
    assert outcomes == {"written", "refused"}, "otherwise the race did not happen"
    assert [path.name for path in (place / "others").iterdir()] == ["secret.npz"]


def test_by_default_it_is_a_folder_of_ours_in_the_users_data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert find_output_folder("") == tmp_path / "regionmask_ros" / "output"
    assert find_output_folder("/a/b") == Path("/a/b")
    with pytest.raises(UserError, match="NUL"):
        find_output_folder("a\0b")
