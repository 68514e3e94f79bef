"""``python -m checks.lock_hashes [FILE ...]``: writes into the lock files which files of each pinned version are right.

Whoever changes a version in a lock file runs it afterwards. It takes the hashes from the package index that pip is
configured to use: those of the source archive and of every wheel for a Linux and a Python that the project supports.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from packaging.tags import Tag
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion, Version

from bootstrap.interpreter import NEWEST, OLDEST
from bootstrap.packages import read_pins

FOLDER = Path(__file__).resolve().parents[1] / "bootstrap"
ACCEPT = "application/vnd.pypi.simple.v1+json"
MACHINES = ("x86_64", "aarch64")
_TIMEOUT_S = 60


class NoHashesError(Exception):
    """No hashes can be had for a package; the text is the message."""


@dataclass(frozen=True)
class IndexFile:
    """A file that the package index offers.

    Attributes:
        name: Its file name.
        sha256: Its hash in hexadecimal; empty if the index does not tell it.
    """

    name: str
    sha256: str


def find_index() -> str:
    """Asks pip for the address of its package index, which its configuration and its environment may change."""
    shown = subprocess.run([sys.executable, "-m", "pip", "install", "--help"], env={**os.environ, "COLUMNS": "1000"},
                           stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout
    found = re.search(r"--index-url <url>.*?\(default (\S+)\)", shown, re.DOTALL)
    if found is None:
        raise NoHashesError("pip does not tell its package index")
    return found[1].rstrip("/")


def ask_index(index: str, name: str) -> list[IndexFile]:
    """Asks the index which files of a package there are.

    Args:
        index: The address of the index.
        name: The package.

    Returns:
        The files of all versions.

    Raises:
        NoHashesError: The index cannot be reached, or does not answer in JSON.
    """
    request = urllib.request.Request(f"{index}/{canonicalize_name(name)}/", headers={"Accept": ACCEPT})
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
            files = json.load(answer)["files"]
            return [IndexFile(file["filename"], file["hashes"].get("sha256", "")) for file in files]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NoHashesError(f"{name}: the package index does not list its files: {error}") from error


def choose_hashes(pin: str, files: Iterable[IndexFile]) -> list[str]:
    """Chooses the files that may be installed for a pin.

    Args:
        pin: A line ``name==version`` or ``name==version; marker``.
        files: What the index offers.

    Returns:
        Their SHA-256, in the order of their names.

    Raises:
        NoHashesError: The index has no such file, or no hash for one.
    """
    name, _, version = pin.partition(";")[0].strip().partition("==")
    chosen = sorted((file for file in files if _may_be_installed(file.name, canonicalize_name(name), Version(version))),
                    key=lambda file: file.name)
    if not chosen:
        raise NoHashesError(f"{name}: the package index has no file of version {version} for this project's platforms")
    for file in chosen:
        if not re.fullmatch("[0-9a-f]{64}", file.sha256):
            raise NoHashesError(f"{name}: the package index tells no SHA-256 of {file.name}")
    return list(dict.fromkeys(file.sha256 for file in chosen))


def write_hashes(text: str, hashes: Callable[[str], list[str]]) -> str:
    """Replaces the hashes in a lock file.

    Args:
        text: The file's text.
        hashes: Finds the hashes for a pin.

    Returns:
        The new text: comments and pins as they were, each pin with its hashes.
    """
    lines = []
    for line in text.splitlines():
        pin = line.split("#")[0].rstrip("\\ ")
        if line.lstrip().startswith("--hash="):
            continue
        if not pin:
            lines.append(line)
            continue
        lines.append(" \\\n".join([pin, *(f"    --hash=sha256:{found}" for found in hashes(pin))]))
    return "\n".join(lines) + "\n"


def _may_be_installed(file: str, name: str, version: Version) -> bool:
    try:
        if not file.endswith(".whl"):
            return parse_sdist_filename(file) == (name, version)
        found, its_version, _, tags = parse_wheel_filename(file)
    except (InvalidWheelFilename, InvalidSdistFilename, InvalidVersion):
        return False
    return (found, its_version) == (name, version) and any(map(_fits, tags))


def _fits(tag: Tag) -> bool:
    """Whether a wheel with this tag can be installed on any of the project's platforms and Pythons."""
    if tag.platform != "any" and not (re.match("(many|musl)?linux", tag.platform) and tag.platform.endswith(MACHINES)):
        return False
    found = re.fullmatch(r"(cp|py)3(\d*)", tag.interpreter)
    if found is None:
        return False
    minor = int(found[2] or 0)
    if tag.abi.startswith("cp3"):
        return OLDEST[1] <= minor <= NEWEST[1] and tag.abi == f"cp3{minor}"
    return minor <= NEWEST[1]


def main(arguments: list[str]) -> int:
    """Rewrites the lock files that are named, or all. Returns the exit status."""
    locks = [Path(name) for name in arguments] or sorted(FOLDER.glob("lock*.txt"))
    known: dict[str, list[IndexFile]] = {}
    try:
        index = find_index()

        def look_up(pin: str) -> list[str]:
            name = pin.partition("==")[0]
            if name not in known:
                known[name] = ask_index(index, name)
            return choose_hashes(pin, known[name])

        for lock in locks:
            lock.write_text(write_hashes(lock.read_text(), look_up))
            print(f"{lock.name:22} {len(read_pins(lock))} packages, {lock.read_text().count('--hash=')} hashes")
    except (NoHashesError, OSError) as error:
        print(f"lock_hashes: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
