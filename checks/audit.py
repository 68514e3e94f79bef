"""``make audit``: looks the pinned packages up in the list of known vulnerabilities, with pip-audit.

A package that the list does not have is not sound but unknown, so it is counted apart.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bootstrap.failures import CommandError, SetupError
from bootstrap.installer import Installer
from bootstrap.packages import read_hashes, read_pins
from bootstrap.progress import Progress

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "bootstrap" / "lock_audit.txt"
SOUND, VULNERABLE, UNKNOWN = 0, 1, 2
"""Exit status. The last: nothing could be looked up in one of the files."""


@dataclass(frozen=True)
class Audit:
    """What was found out about the packages of a lock file.

    Attributes:
        checked: Number of packages that were looked up.
        unknown: Names of the others: ROS's own packages, or all where the network does not reach the list.
        vulnerable: A line for each known vulnerability.
    """

    checked: int
    unknown: tuple[str, ...]
    vulnerable: tuple[str, ...]


def read_report(text: str) -> Audit:
    """Reads a report of pip-audit in JSON.

    Args:
        text: The report.

    Returns:
        What it says.

    Raises:
        ValueError: It is no report.
    """
    try:
        packages = json.loads(text)["dependencies"]
        known = [package for package in packages if "skip_reason" not in package]
        found = [
            f"{package['name']} {package['version']}: {entry['id']}, mended in "
            f"{', '.join(entry['fix_versions']) or 'no release'}" for package in known for entry in package["vulns"]]
        unknown = tuple(package["name"] for package in packages if "skip_reason" in package)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"not a report of pip-audit: {error}") from error
    return Audit(len(known), unknown, tuple(found))


def audit_lock(tool: Path, lock: Path) -> Audit | None:
    """Looks up the packages of a lock file.

    Args:
        tool: The executable pip-audit.
        lock: The file.

    Returns:
        What was found; None if the list cannot be reached.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as pins:
        # Without markers: every line counts, whatever this Python is.
        pins.write("\n".join(line.partition(";")[0].strip() for line in read_pins(lock)) + "\n")
        pins.flush()
        done = subprocess.run(
            [str(tool), "--no-deps", "--disable-pip", "--progress-spinner", "off", "--format", "json", "-r", pins.name],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    try:
        return read_report(done.stdout)
    except ValueError:
        return None


def install_tool() -> Path | None:
    """Installs pip-audit in an environment of its own, once.

    Returns:
        The executable; None if it cannot be installed.

    Raises:
        SetupError: A package is not the pinned one.
    """
    folder = Path(sys.prefix) / "audit"
    tool = folder / "bin" / "pip-audit"
    if not tool.exists():
        venv.create(folder, with_pip=True)
        installer = Installer(folder / "bin" / "python", os.environ, Progress(folder / "log"))
        try:
            installer.install(read_hashes(LOCK), "packages")
        except CommandError:
            return None
    return tool


def main(locks: Sequence[str]) -> int:
    """Prints a line for each lock file and for each known vulnerability. Returns the exit status."""
    try:
        tool = install_tool()
    except SetupError as error:
        print(f"audit: not done: {error}")
        return UNKNOWN
    if tool is None:
        print("audit: not done: pip-audit cannot be installed here; the network does not allow it")
        return UNKNOWN
    status = SOUND
    for lock in map(Path, locks or sorted(map(str, (ROOT / "bootstrap").glob("lock*.txt")))):
        audit = audit_lock(tool, lock)
        if audit is None or not audit.checked:
            print(f"{lock.name:22} not done: the list of known vulnerabilities cannot be reached from here")
            status = max(status, UNKNOWN) if status != VULNERABLE else status
            continue
        print(f"{lock.name:22} {audit.checked} looked up, {len(audit.unknown)} unknown to the list, "
              f"{len(audit.vulnerable)} known vulnerabilities")
        for line in audit.vulnerable:
            print(f"  {line}")
            status = VULNERABLE
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
