"""``python -m checks.links [FILE.md ...]``: every link inside the repository leads somewhere, headings included.

Links to other sites are not followed: a check must not depend on the network.
"""

from __future__ import annotations

import itertools
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[1]

_HTML_LINK = re.compile(r"""<(?:a|img)\b[^>]*?\b(?:href|src)\s*=\s*["']([^"']+)["']""", re.IGNORECASE)
_HTML_ANCHOR = re.compile(r"""<\w+\b[^>]*?\b(?:id|name)\s*=\s*["']([^"']+)["']""", re.IGNORECASE)
_OTHER_SITE = re.compile(r"[a-z][a-z0-9+.-]*:|//", re.IGNORECASE)


def documents(root: Path) -> list[Path]:
    """The Markdown files at the repository's root and below docs/."""
    return sorted([*root.glob("*.md"), *(root / "docs").rglob("*.md")])


def broken_links(document: Path, root: Path) -> list[str]:
    """Lists the links of one document that lead nowhere.

    Args:
        document: A Markdown file below ``root``.
        root: The repository. Links that leave it are reported, because they break in every other clone.

    Returns:
        One line a link: file, line number, target and what is wrong with it.
    """
    found = []
    for line, target in _links(document.read_text(encoding="utf-8")):
        reason = _what_is_wrong(document, target, root)
        if reason:
            found.append(f"{document.relative_to(root)}:{line}: {target}: {reason}")
    return found


def anchors(text: str) -> set[str]:
    """Finds every place of a document that a ``#fragment`` can name.

    Args:
        text: The document in Markdown.

    Returns:
        The headings' anchors as GitHub forms them (lower case, spaces to hyphens, punctuation dropped, ``-1`` for the
        second of its name), and the ``id`` and ``name`` attributes of HTML elements.
    """
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    found: set[str] = set()
    seen: Counter[str] = Counter()
    for opening, inline in itertools.pairwise(tokens):
        if opening.type == "heading_open":
            words = "".join(token.content for token in inline.children or () if token.type in ("text", "code_inline"))
            anchor = re.sub(r"[^\w\- ]", "", words.strip().lower()).replace(" ", "-")
            found.add(f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor)
            seen[anchor] += 1
    for token in _flat(tokens):
        if token.type in ("html_block", "html_inline"):
            found.update(_HTML_ANCHOR.findall(token.content))
    return found


def _links(text: str) -> Iterator[tuple[int, str]]:
    """Line number and target of every link and image. A link inside a paragraph has the paragraph's first line."""
    line = 0
    for token in _flat(MarkdownIt("commonmark").enable("table").parse(text)):
        line = token.map[0] + 1 if token.map else line
        if token.type in ("link_open", "image"):
            yield line, str(token.attrGet("href") or token.attrGet("src") or "")
        elif token.type in ("html_block", "html_inline"):
            for target in _HTML_LINK.findall(token.content):
                yield line, target


def _flat(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from _flat(token.children or [])


def _what_is_wrong(document: Path, target: str, root: Path) -> str:
    """Why a link leads nowhere; empty when it leads somewhere or to another site."""
    if _OTHER_SITE.match(target):
        return ""
    name, _, fragment = unquote(target).partition("#")
    path = (document.parent / name).resolve() if name else document
    if not path.is_relative_to(root):
        return "outside of the repository"
    if not path.exists():
        return "no such file"
    if fragment and path.suffix == ".md" and fragment not in anchors(path.read_text(encoding="utf-8")):
        return "no such heading"
    return ""


def main(arguments: list[str]) -> int:
    """Prints the broken links of the given documents, or of all; 1 if there are any."""
    chosen = [Path(name).resolve() for name in arguments] or documents(ROOT)
    found = [problem for document in chosen for problem in broken_links(document, ROOT)]
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
