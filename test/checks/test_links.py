"""The check of the documentation's links finds what is broken, and nothing else."""

from __future__ import annotations

import pytest

pytest.importorskip("markdown_it", reason="needs markdown-it-py (make check-setup)")

from checks.links import anchors, broken_links, documents


@pytest.mark.parametrize(("heading", "anchor"), [
    ("## Two words", "two-words"), ("# What `run` prints", "what-run-prints"), ("# mAP, in %: 95", "map-in--95"),
    ("# A [link](x.md)", "a-link"), ('text <a id="here"></a>', "here"), ("Underlined\n---", "underlined"),
])
def test_anchors_are_those_of_github(heading, anchor):
    assert anchors(heading) == {anchor}


def test_equal_headings_are_numbered_and_code_is_no_heading():
    assert anchors("# A\n\n# A\n\n```\n# B\n```\n") == {"a", "a-1"}


@pytest.mark.parametrize(("target", "reason"), [
    ("other.md", ""), ("other.md#there", ""), ("#here", ""), ("https://example.org/none", ""), ("sub", ""),
    ("none.md", "no such file"), ("other.md#none", "no such heading"), ("#none", "no such heading"),
    ("../../outside.md", "outside of the repository"), ("a%20b.png", ""),
])
def test_only_broken_links_are_reported(tmp_path, target, reason):
    folder = tmp_path / "docs"
    (folder / "sub").mkdir(parents=True)
    (folder / "other.md").write_text("# There\n")
    (folder / "a b.png").write_bytes(b"")
    document = folder / "page.md"
    document.write_text(f"# Here\n\ntext [a link]({target})\n\n`[no](none.md)`\n\n    [no](none.md)\n")
    assert documents(tmp_path) == [folder / "other.md", document]
    assert broken_links(document, tmp_path) == ([f"docs/page.md:3: {target}: {reason}"] if reason else [])


def test_images_html_and_tables_are_read_too(tmp_path):
    document = tmp_path / "page.md"
    document.write_text('![a](1.png)\n\n<img src="2.png">\n\n| a |\n| --- |\n| [b](3.md) |\n\n[c]\n\n[c]: 4.md\n')
    assert [line.split(": ")[1] for line in broken_links(document, tmp_path)] == ["1.png", "2.png", "3.md", "4.md"]
