"""Installs pinned packages with pip, which verifies the hash of every file before it uses it."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from .failures import CommandError, SetupError
from .progress import Progress, format_share

Pins = Mapping[str, tuple[str, ...]]
"""Of each pin, ``name==version`` or ``name==version; marker``, the hashes of the files that may be installed."""

# pip asks no questions, and installs only into the environment that it belongs to.
PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input")

# Without dependencies, because the lock files are complete, and without isolated builds, because these would fetch
# tools that no lock file knows.
_VERIFIED = ("--require-hashes", "--no-deps")
_INSTALL = ("install", "--no-user", "--progress-bar", "off", *_VERIFIED, "--no-build-isolation")
_DOWNLOAD = ("download", "--progress-bar", "off", *_VERIFIED, "--only-binary=:all:", "--ignore-requires-python")

_FOLDER = Path(__file__).parent


class Installer:
    """Installs into one virtual environment."""

    def __init__(self, python: Path, env: Mapping[str, str], progress: Progress) -> None:
        """Keeps what all installations need.

        Args:
            python: The Python of the virtual environment.
            env: The environment for programs.
            progress: Prints and runs programs.
        """
        self.python, self.env, self.progress = python, env, progress

    def install(self, pins: Pins, log: str, *options: str) -> None:
        """Installs exactly these packages.

        Args:
            pins: The packages.
            log: The name of the log.
            *options: More options for pip.

        Raises:
            SetupError: When a file is not the pinned one, or when pip fails otherwise. Nothing is installed then.
        """
        libraries = self._find_libraries()
        before = _count_distributions(libraries)

        def watch(output: str) -> str:
            return _describe_installation(output, len(pins), _count_distributions(libraries) - before)

        self._run("installing packages", [*_INSTALL, *options], pins, log, watch)

    def download(self, pins: Pins, log: str, folder: Path) -> None:
        """Downloads wheels, for any Python, without installing them.

        Args:
            pins: The packages.
            log: The name of the log.
            folder: The folder for the wheels.

        Raises:
            SetupError: When a file is not the pinned one, or when pip fails otherwise.
        """
        self._run(f"downloading {', '.join(pins)}", [*_DOWNLOAD, "-d", str(folder)], pins, log, None)

    def find_unmet(self, packages: set[str]) -> set[str]:
        """Finds what installed packages need and what is missing, or has a version that does not suit them.

        Args:
            packages: Normalized names of the packages whose needs count.

        Returns:
            Normalized names.
        """
        done = subprocess.run([str(self.python), *PIP, "check"], env=dict(self.env), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
        found = re.findall(r"^(\S+) \S+ (?:requires|has requirement) ([\w.-]+)", done.stdout, re.MULTILINE)
        return {normalize_name(need) for package, need in found if normalize_name(package) in packages}

    def _run(self, what: str, command: list[str], pins: Pins, log: str, watch: Callable[[str], str] | None) -> None:
        with _requirements_file(pins) as file:
            try:
                self.progress.run(what, [self.python, *PIP, *command, "-r", file], self.env, log, watch=watch)
            except CommandError as error:
                raise describe_refusal(error.output) or error from error

    def _find_libraries(self) -> list[Path]:
        return list(self.python.parent.parent.glob("lib/python3*/site-packages"))


def normalize_name(name: str) -> str:
    """Normalizes a package's name: the index does not distinguish case and separators."""
    return re.sub(r"[-_.]+", "-", name).lower()


def name_of(pin: str) -> str:
    """Takes the normalized name out of a pin."""
    return normalize_name(pin.partition("==")[0])


def describe_refusal(output: str) -> SetupError | None:
    """Explains why pip has refused a file.

    Args:
        output: What pip printed.

    Returns:
        The error, in one line; None if pip has failed for another reason.
    """
    wrong = re.search(r"DO NOT MATCH THE HASHES.*?\n\s+(\S+?==\S+)( .*?)?:?\n(?:.*\n)*?\s+Got\s+(\w+)", output)
    if wrong:
        return SetupError(
            f"{wrong[1]}: the file from the package index is not the one that {_find_lock(wrong[1])} pins (its SHA-256 "
            f"is {wrong[3]}), so nothing was installed; run the same command again, and if that does not help use "
            "another package index (see: pip config list)")
    unknown = re.search(r"(?:Hashes are required|In --require-hashes mode).*?\n\s+(\S+)", output)
    if unknown:
        return SetupError(f"{unknown[1]}: bootstrap/lock*.txt pin no hash for it, so nothing was installed; write the "
                          "hashes: .venv/bin/python -m checks.lock_hashes")
    return None


def _find_lock(pin: str) -> str:
    """Names the lock file with a pin."""
    for lock in sorted(_FOLDER.glob("lock*.txt")):
        if re.search(rf"^{re.escape(pin)}\b", lock.read_text(), re.MULTILINE | re.IGNORECASE):
            return f"{_FOLDER.name}/{lock.name}"
    return f"{_FOLDER.name}/lock*.txt"


@contextmanager
def _requirements_file(pins: Pins) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "requirements.txt"
        file.write_text("".join(f"{' '.join([pin, *(f'--hash={found}' for found in hashes)])}\n"
                                for pin, hashes in pins.items()))
        yield file


def _count_distributions(libraries: list[Path]) -> int:
    return sum(name.endswith(".dist-info") for folder in libraries for name in os.listdir(folder))


def _describe_installation(output: str, packages: int, installed: int) -> str:
    """Describes how far pip has come.

    Args:
        output: What pip has printed.
        packages: Number of packages that it was given.
        installed: Number of packages that were installed since it was started.

    Returns:
        A text such as "installing packages: 37 of 149 (25 %)".
    """
    packages -= len(re.findall(r"^Ignoring \S+: markers", output, re.MULTILINE))
    collected = re.search(r"^Installing collected packages: (.*)$", output, re.MULTILINE)
    if collected:
        packages = len(collected[1].split(", "))
        return f"installing packages: {format_share(installed, packages)}"
    seen = len(re.findall(r"^(?:Collecting|Requirement already satisfied:) ", output, re.MULTILINE))
    return f"downloading packages: {format_share(seen, packages)}"
