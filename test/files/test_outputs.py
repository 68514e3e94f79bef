"""Output files appear together or not at all, and a path that cannot be written is rejected at once."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest

from regionmask_ros.errors import UserError
from regionmask_ros.files.outputs import Outputs, PipedFile, encode_json, write_json, write_whole


def write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def test_commit_makes_all_files_appear_and_replaces_older_ones(tmp_path):
    (tmp_path / "b.txt").write_text("old")
    with Outputs() as outputs:
        folder = outputs.folder(str(tmp_path / "new" / "deep"))
        write(outputs.file(os.path.join(folder, "a.mp4")), "first")
        write(outputs.file(str(tmp_path / "b.txt")), "second")
        assert os.listdir(folder) != ["a.mp4"] and (tmp_path / "b.txt").read_text() == "old"
        assert outputs.commit() == [os.path.join(folder, "a.mp4"), str(tmp_path / "b.txt")]
    assert os.listdir(folder) == ["a.mp4"] and (tmp_path / "b.txt").read_text() == "second"
    assert sorted(os.listdir(tmp_path)) == ["b.txt", "new"]


def test_the_temporary_file_has_the_same_suffix_and_folder(tmp_path):
    with Outputs() as outputs:
        temporary = outputs.file(str(tmp_path / "annotated.mp4"))
        assert os.path.dirname(temporary) == str(tmp_path) and temporary.endswith(".mp4") and os.path.isfile(temporary)


def test_an_exception_leaves_all_files_and_folders_unchanged(tmp_path):
    (tmp_path / "b.txt").write_text("old")
    with pytest.raises(RuntimeError), Outputs() as outputs:
        folder = outputs.folder(str(tmp_path / "new" / "deep"))
        write(outputs.file(os.path.join(folder, "a.csv")), "half")
        write(outputs.file(str(tmp_path / "b.txt")), "half")
        raise RuntimeError
    assert os.listdir(tmp_path) == ["b.txt"] and (tmp_path / "b.txt").read_text() == "old"


def test_an_abort_keeps_folders_that_existed_or_are_not_empty(tmp_path):
    (tmp_path / "old").mkdir()
    with Outputs() as outputs:
        outputs.folder(str(tmp_path / "old"))
        outputs.folder(str(tmp_path / "used"))
        (tmp_path / "used" / "by_another_program").touch()
    assert sorted(os.listdir(tmp_path)) == ["old", "used"]


def test_a_path_that_cannot_be_written_is_reported_at_once(tmp_path):
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "broken_link").symlink_to(tmp_path / "nowhere")
    outputs = Outputs()
    for path, reason in [
        (tmp_path / "file", "not a folder"),
        (tmp_path / "file" / "below", "cannot make this folder"),
        (tmp_path / "broken_link", "not a folder"),
        ("", "empty"),
    ]:
        with pytest.raises(UserError, match=reason):
            outputs.folder(str(path))
    for path, reason in [
        (tmp_path, "a folder: give the name of a file"),
        (f"{tmp_path}/none/", "a folder: give the name of a file"),
        (tmp_path / "none" / "a.json", "a.json: cannot be written: No such file"),
        (tmp_path / "pipe", "not a regular file"),
        (os.devnull, "not a regular file"),
        (tmp_path / ("n" * 300), "cannot be written: File name too long"),
    ]:
        with pytest.raises(UserError, match=reason):
            outputs.file(str(path))
        outputs.abort()
    assert sorted(os.listdir(tmp_path)) == ["broken_link", "file", "pipe"]


def test_an_output_may_not_replace_an_input_or_another_output(tmp_path):
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


def test_a_full_disk_is_reported_in_one_line(tmp_path):
    with pytest.raises(UserError, match=r"a\.csv: cannot be written: No space left"), Outputs() as outputs:
        outputs.file(str(tmp_path / "a.csv"))
        with open("/dev/full", "w", encoding="utf-8") as full:
            full.write("more than nothing")
    assert os.listdir(tmp_path) == []


def test_other_system_errors_pass_unchanged(tmp_path):
    with pytest.raises(OSError) as caught, Outputs() as outputs:
        outputs.file(str(tmp_path / "a.csv"))
        os.stat(tmp_path / "none")
    assert caught.value.errno == errno.ENOENT


def test_write_whole_makes_folders_and_replaces_the_file(tmp_path):
    for content in (b"first", b"second"):
        write_whole(tmp_path / "new" / "deep" / "a.bin", content)
        assert (tmp_path / "new" / "deep" / "a.bin").read_bytes() == content
    assert os.listdir(tmp_path / "new" / "deep") == ["a.bin"]


def test_json_has_a_value_a_line_and_is_strict_on_demand(tmp_path):
    write_json(tmp_path / "a.json", {"a": 1, "b": None})
    assert (tmp_path / "a.json").read_text() == '{\n "a": 1,\n "b": null\n}\n'
    assert encode_json([float("nan")]) == b"[\n NaN\n]\n"
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode_json([float("nan")], allow_nan=False)


def test_write_whole_reports_a_path_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file/a\.bin: cannot be written: File exists"):
        write_whole(tmp_path / "file" / "a.bin", b"")
    with pytest.raises(UserError, match="a folder: give the name of a file"):
        write_whole(tmp_path, b"")


def test_everything_written_into_the_pipe_arrives_in_the_file(tmp_path):
    data = np.random.default_rng(0).integers(0, 256, 3_000_000).astype(np.uint8).tobytes()
    piped = PipedFile(str(tmp_path / "file"))
    with open(piped.inlet, "wb") as writer:
        piped.release_inlet()
        writer.writelines(data[start:start + 70_001] for start in range(0, len(data), 70_001))
    piped.close()
    assert (tmp_path / "file").read_bytes() == data


def test_an_error_of_the_file_does_not_stop_the_writer_and_is_raised_at_the_end():
    piped = PipedFile("/dev/full")
    with open(piped.inlet, "wb") as writer:
        piped.release_inlet()
        writer.write(bytes(1_000_000))
    with pytest.raises(OSError, match="No space left"):
        piped.close()
