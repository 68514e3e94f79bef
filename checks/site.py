"""``python -m checks.site``: builds the documentation in site/. No warning is allowed, and no page loads anything else.

The pages are those of docs/. A link or heading that does not exist is an error, and so is whatever a browser would load
from another server: the site works without a network, and nobody learns who reads it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "site"

_LOADED = {("img", "src"), ("script", "src"), ("iframe", "src"), ("source", "src"), ("video", "src"), ("link", "href")}
_ONLY_NAMED = {"canonical", "next", "prev"}


class _Loads(HTMLParser):
    """Collects the addresses on other servers that a page makes a browser load."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        if tag == "link" and values.get("rel") in _ONLY_NAMED:
            return
        self.addresses += [value for name, value in attributes
                           if value and (tag, name) in _LOADED and urlsplit(value).netloc]


def build(folder: Path) -> str:
    """Builds the site.

    Args:
        folder: Where to; what is there is replaced.

    Returns:
        What is wrong with the pages, as MkDocs says it; empty if nothing is.
    """
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)], cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        check=False)
    return done.stdout.strip() or (f"mkdocs has ended with status {done.returncode}" if done.returncode else "")


def find_loads(page: str) -> list[str]:
    """Finds what a page loads from other servers.

    Args:
        page: Its HTML.

    Returns:
        The addresses.
    """
    loads = _Loads()
    loads.feed(page)
    return loads.addresses


def main() -> int:
    """Builds and checks the site; prints what is wrong, or where it is. Returns the exit status."""
    problems = build(FOLDER)
    if not problems:
        problems = "\n".join(f"{page.relative_to(FOLDER)}: loads {address}" for page in sorted(FOLDER.rglob("*.html"))
                             for address in find_loads(page.read_text(encoding="utf-8")))
    print(problems or f"built: {(FOLDER / 'index.html').relative_to(ROOT)}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
