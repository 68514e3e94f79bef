"""Hooks of MkDocs: links from docs/ to other files of the repository work on the site, which gets those files, too."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
DOCS, OUTSIDE = "docs", "repository"

_NAMED = re.compile(r"\[(?:\w+/)*(\w+\.md)\](?=\((?:[./\w]*/)?\1[#)])")
_LINK = re.compile(r"(\]\()([^)#\s:]+)((?:#[^)\s]*)?\))")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the files outside of docs/ that its pages link to.

    Args:
        files: The files of the site.
        config: The site's configuration.

    Returns:
        The same files and more.
    """
    targets = {_place(page.src_uri, target) for page in files.documentation_pages()
               for _, target, _ in _LINK.findall(page.content_string)}
    for target in sorted(targets):
        if not target.startswith((f"{DOCS}/", "..")) and (ROOT / target).is_file():
            files.append(File.generated(config, f"{OUTSIDE}/{target}", abs_src_path=str(ROOT / target)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Changes the links that leave docs/ or come from outside of it, so that they lead to the site's files.

    Args:
        markdown: A page.
        page: What MkDocs knows about it.

    Returns:
        The page with other links.
    """
    def change(link: re.Match[str]) -> str:
        place = _place(page.file.src_uri, link[2])
        is_inside = place.startswith(f"{DOCS}/")
        if not (ROOT / place).is_file() or (is_inside and not page.file.src_uri.startswith(f"{OUTSIDE}/")):
            return link[0]
        there = place.removeprefix(f"{DOCS}/") if is_inside else f"{OUTSIDE}/{place}"
        return f"{link[1]}{posixpath.relpath(there, posixpath.dirname(page.file.src_uri) or '.')}{link[3]}"

    return _LINK.sub(change, _NAMED.sub(_title, markdown))


def _title(named: re.Match[str]) -> str:
    """The title of a page, for a link whose text is the name of its file: the site has no file names."""
    found = [*(ROOT / DOCS).rglob(named[1]), ROOT / named[1]]
    return f"[{found[0].read_text(encoding='utf-8').partition(chr(10))[0].removeprefix('# ')}]"


def _place(page: str, target: str) -> str:
    """Where in the repository a link of a page leads; both addresses are those of files."""
    if page.startswith(f"{OUTSIDE}/"):
        return posixpath.normpath(posixpath.join(posixpath.dirname(page.removeprefix(f"{OUTSIDE}/")), target))
    return posixpath.normpath(posixpath.join(DOCS, posixpath.dirname(page), target))
