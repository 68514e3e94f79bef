"""The documentation builds as a site without a warning, works without a network, and has the files that it links to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from checks.site import build, find_loads


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    pytest.importorskip("material", reason="mkdocs-material is missing: `make check-setup` brings it")
    folder = tmp_path_factory.mktemp("documentation") / "site"
    assert build(folder) == ""
    return folder


def test_every_link_inside_the_site_leads_to_a_file(site):
    for page in site.rglob("*.html"):
        if page.name != "404.html":
            for target in re.findall(r'(?:href|src)="([^"#?:]+)[#?"]', page.read_text()):
                assert (page.parent / target).exists(), f"{page}: {target}"


def test_the_site_names_pages_by_their_titles(site):
    assert not re.search(r">\w+\.md</a>", (site / "index.html").read_text())


def test_files_outside_of_docs_are_there_and_their_links_come_back(site):
    assert (site / "repository" / "config" / "detector.yaml").is_file()
    assert 'href="../GLOSSARY.html"' in (site / "repository" / "CONTRIBUTING.html").read_text()


def test_no_page_loads_anything_from_another_server(site):
    assert [(page.name, found) for page in site.rglob("*.html") if (found := find_loads(page.read_text()))] == []
    assert not re.search(r"url\(\W*(?:https?:)?//", "".join(style.read_text() for style in site.rglob("*.css")))


def test_what_a_browser_would_load_is_found():
    page = ('<link rel="stylesheet" href="https://one.example/a.css"><script src="//two.example/b.js"></script>'
            '<img src="c.png"><a href="https://three.example/">there</a><link rel="canonical" href="https://x.example">')
    assert find_loads(page) == ["https://one.example/a.css", "//two.example/b.js"]
