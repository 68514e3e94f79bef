"""Outputs appear together or not at all, and what cannot be written is refused at once."""

from __future__ import annotations

import errno
import os

import pytest

from regionmask_ros.errors import UserError
from regionmask_ros.files.outputs import Outputs


def write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def test_files_appear_with_the_commit_and_replace_older_ones(tmp_path):
    (tmp_path / "b.txt").write_text("old")
    with Outputs() as outputs:
        folder = outputs.folder(str(tmp_path / "new" / "deep"))
        write(outputs.file(os.path.join(folder, "a.mp4")), "first")
        write(outputs.file(str(tmp_path / "b.txt")), "second")
        assert os.listdir(folder) != ["a.mp4"] and (tmp_path / "b.txt").read_text() == "old"
        assert outputs.commit() == [os.path.join(folder, "a.mp4"), str(tmp_path / "b.txt")]
    assert os.listdir(folder) == ["a.mp4"] and (tmp_path / "b.txt").read_text() == "second"
    assert sorted(os.listdir(tmp_path)) == ["b.txt", "new"]


def test_a_temporary_name_keeps_the_ending_and_the_folder(tmp_path):
    with Outputs() as outputs:
        temporary = outputs.file(str(tmp_path / "annotated.mp4"))
        assert os.path.dirname(temporary) == str(tmp_path) and temporary.endswith(".mp4") and os.path.isfile(temporary)


def test_an_error_leaves_everything_as_it_was(tmp_path):
    (tmp_path / "b.txt").write_text("old")
    with pytest.raises(RuntimeError), Outputs() as outputs:
        folder = outputs.folder(str(tmp_path / "new" / "deep"))
        write(outputs.file(os.path.join(folder, "a.csv")), "half")
        write(outputs.file(str(tmp_path / "b.txt")), "half")
        raise RuntimeError
    assert os.listdir(tmp_path) == ["b.txt"] and (tmp_path / "b.txt").read_text() == "old"


def test_a_folder_that_was_there_or_holds_something_stays(tmp_path):
    (tmp_path / "there").mkdir()
    with Outputs() as outputs:
        outputs.folder(str(tmp_path / "there"))
        outputs.folder(str(tmp_path / "used"))
        (tmp_path / "used" / "by_somebody_else").touch()
    assert sorted(os.listdir(tmp_path)) == ["there", "used"]


def test_a_place_where_nothing_can_be_written_is_named_at_once(tmp_path):
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "astray").symlink_to(tmp_path / "nowhere")
    outputs = Outputs()
    for path, cause in [
        (tmp_path / "file", "not a folder"),
        (tmp_path / "file" / "below", "cannot make this folder"),
        (tmp_path / "astray", "not a folder"),
        ("", "empty"),
    ]:
        with pytest.raises(UserError, match=cause):
            outputs.folder(str(path))
    for path, cause in [
        (tmp_path, "a folder: give the name of a file"),
        (f"{tmp_path}/none/", "a folder: give the name of a file"),
        (tmp_path / "none" / "a.json", "a.json: cannot be written: No such file"),
        (tmp_path / "pipe", "not a regular file"),
        (os.devnull, "not a regular file"),
        (tmp_path / ("n" * 300), "cannot be written: File name too long"),
    ]:
        with pytest.raises(UserError, match=cause):
            outputs.file(str(path))
        outputs.abort()
    assert sorted(os.listdir(tmp_path)) == ["astray", "file", "pipe"]


def test_the_input_is_not_replaced_and_no_name_is_given_twice(tmp_path):
    source = tmp_path / "annotated.mp4"
    source.write_text("a video")
    (tmp_path / "link.mp4").symlink_to(source)
    with Outputs(inputs=[str(source)]) as outputs:
        for path in (source, tmp_path / "link.mp4"):
            with pytest.raises(UserError, match="would replace the input"):
                outputs.file(str(path))
        outputs.file(str(tmp_path / "a.json"))
        with pytest.raises(UserError, match="named for two outputs"):
            outputs.file(str(tmp_path / "." / "a.json"))
    assert source.read_text() == "a video"


def test_a_full_disk_is_told_in_one_line(tmp_path):
    with pytest.raises(UserError, match=r"a\.csv: cannot be written: No space left"), Outputs() as outputs:
        outputs.file(str(tmp_path / "a.csv"))
        with open("/dev/full", "w", encoding="utf-8") as full:
            full.write("more than nothing")
    assert os.listdir(tmp_path) == []


def test_other_errors_of_the_system_are_not_renamed(tmp_path):
    with pytest.raises(OSError) as caught, Outputs() as outputs:
        outputs.file(str(tmp_path / "a.csv"))
        os.stat(tmp_path / "none")
    assert caught.value.errno == errno.ENOENT
