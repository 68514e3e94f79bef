"""Fixtures that tests of several rooms share: networks, videos, reference data, and interpreters with Lava."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from browser import NAMES, Browser
from hypothesis import settings
from moving_square import moving_square
from video_writer import write_video

from regionmask_ros.backends.worker_process import find_lava_python
from regionmask_ros.errors import UserError
from regionmask_ros.mask.static import save_static_mask
from regionmask_ros.network.chain import ConvSpec, Network, YoloHead
from regionmask_ros.network.files import ENVIRONMENT_KEY, find_network, load_network
from regionmask_ros.network.names import INSTALLED

# The first example compiles kernels, and the machine may be busy: a time limit would only measure that.
settings.register_profile("no_deadline", deadline=None)
settings.load_profile("no_deadline")

# Most tests are about sigma-delta networks, also those that start the program, and name none; others remove this.
os.environ[ENVIRONMENT_KEY] = INSTALLED

REPOSITORY = Path(__file__).resolve().parent.parent
STAND_IN = REPOSITORY / "test" / "backends" / "loihi_stand_in"


@pytest.fixture(scope="session")
def trained_file() -> Path:
    """The file of the trained network, from `make setup`."""
    try:
        return find_network()
    except UserError as error:
        pytest.skip(f"no trained network: {error}")


@pytest.fixture(scope="session")
def trained(trained_file) -> Network:
    """The trained network, YOLO-KP."""
    return load_network(trained_file)


@pytest.fixture(scope="session")
def real_video():
    """A function from a file name to the path of a video that `make setup` has installed."""

    def find(name: str) -> str:
        path = Path(sys.prefix) / "share" / "regionmask_ros" / name
        if not path.exists():
            pytest.skip(f"{name} is not at {path}; `make setup` installs it where it is available")
        return str(path)

    return find


@pytest.fixture(scope="session")
def make_clip(tmp_path_factory):
    """A function that writes a short MP4, 160x96 at 20 frames per second: a bright block moves over noise."""

    def make(frames: int, pixels_per_frame: int) -> str:
        images = moving_square(
            frames, (160, 96), top=30, square_wh=(40, 40), step=pixels_per_frame, grays=(230,), noise=120)
        return write_video(tmp_path_factory.mktemp("clip") / "a clip.mp4", [image.pixels for image in images], 20.0)

    return make


@pytest.fixture(scope="session")
def reference_folder() -> Path:
    """Reference vectors that Lava has computed; they are too large for the repository."""
    folder = Path(os.environ.get("REGIONMASK_REFERENCE") or REPOSITORY.parent / "shared" / "reference")
    if not (folder / "manifest.json").exists():
        pytest.skip(f"no reference vectors at {folder}; set REGIONMASK_REFERENCE to their folder")
    return folder


@pytest.fixture(scope="session")
def labelled_clip():
    """A function from the name of a labeled sequence to its video; the sequences are not part of the repository."""

    def find(name: str) -> str:
        folder = Path(os.environ.get("REGIONMASK_DATA") or REPOSITORY.parent / "shared" / "data")
        video = folder / name / "video.mp4"
        if not video.exists():
            pytest.skip(f"no sequence at {video}; set REGIONMASK_DATA to the folder of the sequences")
        return str(video)

    return find


@pytest.fixture(scope="session")
def public_network():
    """A function from a file name to the path of a public detector; they are not part of the repository."""

    def find(name: str) -> str:
        folder = Path(os.environ.get("REGIONMASK_MODELS") or REPOSITORY.parent / "shared" / "models")
        if not (folder / name).exists():
            pytest.skip(f"no network at {folder / name}; set REGIONMASK_MODELS to the folder of the public networks")
        return str(folder / name)

    return find


@pytest.fixture(scope="session")
def lava_python() -> str:
    """The interpreter with Lava, from `make lava`."""
    try:
        return str(find_lava_python())
    except UserError as error:
        pytest.skip(f"Lava is not tested: {error}")


@pytest.fixture(scope="session")
def tiny_network():
    """A small random network that detects boxes without any training, because some objectness is always high."""
    rng = np.random.default_rng(11)

    def conv(name: str, inputs: int, outputs: int, stride: int, head: bool = False) -> ConvSpec:
        weight = rng.integers(-24, 25, (outputs, inputs, 3, 3)).astype(np.int32)
        return ConvSpec(name, weight, None if head else rng.integers(-20, 60, outputs).astype(np.int32), stride, 1, 6)

    layers = (conv("c1", 3, 8, 2), conv("c2", 8, 8, 2), conv("c3", 8, 12, 4), conv("head", 12, 7 * 2, 2, head=True))
    table = (np.arange(256, dtype=np.int32) - 128)[:, None].repeat(3, axis=1)
    return Network("tiny", layers, YoloHead(((0.3, 0.3), (0.2, 0.5)), 2, 0.0), ("square", "disc"), table, 6)


@pytest.fixture(scope="session")
def even_network(tiny_network):
    """The small network with even weights, as the chip needs them."""
    layers = tuple(
        ConvSpec(s.name, (s.weight * 2).astype(np.int32), s.bias, s.stride, s.padding, s.threshold)
        for s in tiny_network.layers
    )
    return Network("even", layers, tiny_network.head, tiny_network.labels, tiny_network.input_table, 6)


@pytest.fixture(scope="session")
def exponents_network(even_network):
    """The small network with an exponent of its own in each layer, and a head that adds something."""
    layers = tuple(replace(spec, exponent=exponent) for spec, exponent in zip(even_network.layers, (5, 7, 6, 8)))
    head = replace(even_network.head, bias=tuple(range(-7, 7)), exponent=8)
    return replace(even_network, name="exponents", layers=layers, head=head)


@pytest.fixture(scope="session")
def groups_network(even_network):
    """A small network with a depthwise layer of more channels than 7 bits count, and a layer in groups of several."""
    rng = np.random.default_rng(17)

    def conv(name: str, shape: tuple[int, ...], stride: int, groups: int = 1, is_head: bool = False) -> ConvSpec:
        weight = 2 * rng.integers(-24, 25, shape).astype(np.int32)
        bias = None if is_head else rng.integers(-20, 60, len(weight)).astype(np.int32)
        return ConvSpec(name, weight, bias, stride, shape[2] // 2, 6, groups=groups)

    layers = (conv("c1", (132, 3, 3, 3), 4), conv("depthwise", (132, 1, 3, 3), 2, 132),
              conv("parts", (12, 33, 1, 1), 2, 4), conv("head", (14, 6, 3, 3), 2, 2, is_head=True))
    return replace(even_network, name="groups", layers=layers)


@pytest.fixture
def write_mask(tmp_path):
    """A function that writes a static mask, bool [rows, cols], with heat or without, and returns the file's path."""

    def write(keep: np.ndarray, heat: np.ndarray | None = None) -> str:
        save_static_mask(str(tmp_path / "mask.npz"), keep, 16, heat)
        return str(tmp_path / "mask.npz")

    return write


@pytest.fixture
def half_mask(write_mask) -> str:
    """A static mask, for the 4x6 regions of a 96x64 input: the left half is kept."""
    return write_mask(np.repeat([[True] * 3 + [False] * 3], 4, axis=0))


def _script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def board(lava_python, tmp_path, monkeypatch):
    """An interpreter with a simulated Loihi 2 board, in a simulated SLURM cluster of two boards."""
    tools = tmp_path / "tools"
    tools.mkdir()
    _script(tools / "sinfo", "echo 'og-01 oheogulch* idle'; echo 'kp-01 kapoho down*'")
    _script(tools / "ping", "echo pong")
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("STAND_IN_LOG", str(tmp_path / "log"))
    words = f"exec env PYTHONPATH={shlex.quote(str(STAND_IN))} {shlex.quote(lava_python)} {shlex.quote(str(STAND_IN))}"
    return str(_script(tmp_path / "python", f'{words}/run.py "$@"'))


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium, which is no part of the set-up."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip("pages are not tested in a browser: there is no chromium; install the package chromium")
    with Browser(program) as running:
        yield running
