"""Names of classes: where they come from, and which ones are refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionmask_ros.errors import UserError
from regionmask_ros.network.labels import COCO, check_names, choose_labels, names_in_metadata, read_labels


def test_coco_has_80_names_and_its_numbers_lead_to_the_same_ones():
    assert len(COCO) == 80 and (COCO[0], COCO[2], COCO[79]) == ("person", "car", "toothbrush")
    by_number, note = choose_labels("coco", {}, 90)
    with_background, _ = choose_labels("", {}, 91)
    assert (by_number[0], by_number[2], by_number[12], by_number[89]) == ("person", "car", "stop sign", "toothbrush")
    assert with_background[1:] == by_number and not note


@pytest.mark.parametrize("text", [
    "{0: 'person', 1: 'car'}", "['person', 'car']", '["person", "car"]', '{"0": "person", "1": "car"}',
    "{1: 'car', 0: ' person'}",
])
def test_names_in_metadata_are_read(text):
    assert names_in_metadata({"names": text}) == ("person", "car")
    assert choose_labels("", {"names": text}, 2) == (("person", "car"), "")


@pytest.mark.parametrize("text", [
    "", "person", "{0: 'a', 2: 'b'}", "[1, 2]", "{0: 1}", "[]", "__import__('os').system('true')", "(" * 30_000,
    "['" + "x" * 70_000 + "']", "['a\\nb']", "[''] ", "{'a': 'b'}", "{None: 'x'}", "1e999", "[[['a']]]",
])
def test_other_metadata_is_ignored(text):
    assert names_in_metadata({"names": text}) == ()


@given(st.text(max_size=200))
def test_any_text_in_metadata_is_harmless(text):
    names = names_in_metadata({"names": text})
    assert names == () or not check_names(names)


def test_without_names_coco_is_a_guess_and_others_are_numbered():
    assert choose_labels("", {}, 80) == (COCO, "labels: those of COCO, because there are 80 classes")
    assert choose_labels("", {"names": "['one']"}, 2) == (
        ("class_0", "class_1"), "labels: class_0 to class_1; give their names with --labels FILE")


def test_a_file_has_one_name_on_each_line(tmp_path):
    file = tmp_path / "names.txt"
    file.write_bytes("\ufeffStraße \r\ncar\n\n".encode())
    assert read_labels(file) == ("Straße", "car") == choose_labels(str(file), {"names": "['a']"}, 2)[0]


@pytest.mark.parametrize("content, reason", [
    (b"a\n\nb", "name 2 is empty"), (b"\xff\xfe", "not a text in UTF-8"), (b"", "empty file"), (b"\n", "0 names"),
    (b"a\x1bb", "not printable"), (b"a\n" * 600_000, "too large"), (b"x" * 101, "too long"),
])
def test_other_files_are_one_line(tmp_path, content, reason):
    file = tmp_path / "names.txt"
    file.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_labels(file)
    assert reason in str(caught.value) and str(file) in str(caught.value)


def test_a_wrong_number_of_names_is_refused(tmp_path):
    file = tmp_path / "names.txt"
    file.write_text("a\nb\n")
    with pytest.raises(UserError, match="names.txt: 2 names, but the network has 3 classes"):
        choose_labels(str(file), {}, 3)
    with pytest.raises(UserError, match="COCO has 80 classes, this network has 3"):
        choose_labels("coco", {}, 3)
