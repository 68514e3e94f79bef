"""Sources of a command line: files, folders, globs, lists and addresses, each named once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from bag_writer import START_NS, STEP_NS, image, write_bag
from drawn_street import frames

from regionmask_ros.errors import UserError
from regionmask_ros.fleet.opening import opened
from regionmask_ros.fleet.places import Place, assign_names, expand, is_many
from regionmask_ros.fleet.units import Unit, name_camera
from regionmask_ros.sources import Reading


@pytest.fixture(scope="module")
def tree(day, tmp_path_factory) -> Path:
    """The day, a bag, a folder of images, and files that are no sources."""
    folder = tmp_path_factory.mktemp("tree")
    shutil.copytree(day, folder / "day")
    images, _ = frames()
    write_bag(folder / "bags" / "one", {"/cam/image_raw": [image(images[i], START_NS + i * STEP_NS) for i in range(2)]})
    (folder / "images").mkdir()
    for name in ("1.png", "2.png"):
        (folder / "images" / name).write_bytes(b"")
    (folder / "images" / "more.mp4").write_bytes(b"")
    (folder / "notes.txt").write_text("no source\n")
    (folder / ".hidden.mp4").write_bytes(b"")
    return folder


def paths(*words: str) -> list[str]:
    return [place.path for place in expand(words)]


def test_a_folder_is_searched_for_videos_bags_and_folders_of_images(tree):
    day = tree / "day"
    assert paths(str(tree)) == [str(path) for path in (
        tree / "bags" / "one", day / "front" / "a.mp4", day / "front" / "b.mp4",
        day / "rear" / "a.mp4", tree / "images")]


def test_a_source_is_taken_once_in_the_order_of_the_words(tree):
    one, other = str(tree / "day/rear/a.mp4"), str(tree / "day/front/b.mp4")
    assert paths(one, other, one, str(tree / "day/rear")) == [one, other]


def test_globs_are_expanded_and_one_without_a_match_is_an_error(tree):
    assert paths(f"{tree}/day/**/a.mp4") == [str(tree / "day/front/a.mp4"), str(tree / "day/rear/a.mp4")]
    assert paths(f"{tree}/day/f*") == paths(str(tree / "day/front"))
    with pytest.raises(UserError, match="no video, bag or folder of images matches"):
        expand([f"{tree}/*.avi"])


def test_a_list_names_sources_and_cameras(tree, tmp_path):
    words = tmp_path / "list.txt"
    words.write_text(f"# a comment\n{tree}/day/front/*.mp4\tstreet left\n\n{tree}/day/rear\n")
    found = expand([f"@{words}"])
    assert [place.camera for place in found] == ["street left"] * 2 + [""]
    assert found[2] == Place(str(tree / "day/rear/a.mp4"))
    words.write_text("# nothing else\n")
    with pytest.raises(UserError, match="the list of sources is empty"):
        expand([f"@{words}"])
    with pytest.raises(UserError, match=r"missing\.txt: no such file"):
        expand([f"@{tmp_path}/missing.txt"])


@pytest.mark.parametrize(("word", "many"), [
    ("day", True), ("day/front/*.mp4", True), ("day/front/a.mp4", False), ("bags/one", False), ("images", False),
    ("missing.mp4", False), ("notes.txt", False)])
def test_one_source_stays_one(tree, word, many):
    assert is_many([f"{tree}/{word}"]) is many
    assert is_many(["@list"]) and is_many(["s3://bucket/day"]) and is_many(["a", "b"])
    assert not is_many(["rtsp://camera/stream"]) and not is_many(["http://camera/video.mjpg"])


def test_names_are_those_of_files_and_tell_all_sources_apart():
    sources = ["/x/front/a.mp4", "/x/rear/a.mp4", "/x/rear/b c.mp4", "/x/B_C.mkv", "/x/.."]
    names = assign_names(sources, {})
    assert len({name.casefold() for name in names.values()}) == 5
    assert names["/x/front/a.mp4"].startswith("a-") and names["/x/.."] == "source"
    assert assign_names([*sources, "/x/d.mp4"], names)["/x/d.mp4"] == "d"


def test_sources_that_are_added_later_leave_known_names_as_they_are():
    first = assign_names(["/x/front/a.mp4"], {})
    assert first == {"/x/front/a.mp4": "a"}
    later = assign_names(["/x/front/a.mp4", "/x/rear/a.mp4"], first)
    assert later["/x/front/a.mp4"] == "a" and later["/x/rear/a.mp4"].startswith("a-")


def test_an_address_needs_fsspec_or_lists_what_is_there(tree):
    address = f"local://{tree}/day"
    try:
        import fsspec  # noqa: F401
    except ImportError:
        with pytest.raises(UserError, match="reading from an address needs fsspec: run 'make fleet'"):
            expand([address])
        pytest.skip("no fsspec: `make fleet` brings it")
    found = paths(address)
    assert [path.rpartition("/day/")[2] for path in found] == [
        "front/a.mp4", "front/b.mp4", "rear/a.mp4"]
    assert all("://" in path for path in found)
    assert [path.rpartition("/")[2] for path in paths(f"local://{tree}/bags")] == ["one"], "a bag is one source"
    with pytest.raises(UserError, match="no video or bag is there"):
        expand([f"local://{tree}/nowhere"])
    with pytest.raises(UserError, match="bucket"):
        expand(["nosuchthing://bucket/day"])


@pytest.mark.parametrize(("path", "listed", "camera"), [
    ("bags/one", "", "cam"), ("day/rear/a.mp4", "", "rear"), ("day/rear/a.mp4", "street left", "street left")])
def test_a_camera_is_named_by_the_list_the_topic_or_the_folder(tree, path, listed, camera):
    unit = Unit("unit", Place(f"{tree}/{path}", listed))
    with opened(unit, "", Reading()) as source:
        assert name_camera(unit, source) == camera


def test_a_source_behind_an_address_is_copied_for_its_unit_and_removed(tree, monkeypatch, tmp_path):
    pytest.importorskip("fsspec", reason="no fsspec: `make fleet` brings it")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for name, frames_in_it in (("day/rear/a.mp4", 4), ("bags/one", 2)):
        unit = Unit("unit", Place(f"local://{tree}/{name}"))
        with opened(unit, "", Reading()) as source:
            assert sum(1 for _ in source.frames()) == frames_in_it and list(tmp_path.iterdir())
        assert not list(tmp_path.iterdir())
    with pytest.raises(UserError, match=r"^local://.*/notes\.txt: "), opened(
            Unit("unit", Place(f"local://{tree}/notes.txt")), "", Reading()):
        pass
