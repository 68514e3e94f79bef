"""The documentation's commands run, or say why they are not run here; the files of the package that it names exist.

A code block without a language, or in sh, holds commands. The tests run the cheap ones in one folder, in their order,
with a small street in it. Above other blocks, the page says in a comment which test runs them, or what is missing::

    <!-- run by: test/ros/test_play.py -->
    <!-- not run: needs a board with Loihi 2 -->
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest
from bag_writer import START_NS, STEP_NS, image, write_bag
from drawn_street import frames
from video_writer import write_video

from regionmask_ros import user_folders
from regionmask_ros.commands._cli import COMMANDS, command_main
from regionmask_ros.commands._parser import build_parser
from regionmask_ros.importing import calibration

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

PROGRAM = r"(?:\.venv/bin/regionmask_ros|(?:\S*/)?python3? -m regionmask_ros|ros2 run regionmask_ros)"
CALL = re.compile(rf"^{PROGRAM}\s+(\S.*)")
BLOCK = re.compile(r"(?:<!-- (?P<mark>[^\n]*) -->\n)?^```(?P<kind>\w*)\n(?P<text>.*?)^```", re.DOTALL | re.MULTILINE)
SPAN = re.compile(rf"`({PROGRAM} [^`]*)`")
MARK = re.compile(r"not run: .{10,}|run by: (?P<tests>test/[\w/]+\.py(?:, test/[\w/]+\.py)*)")

FRAMES = 6

ELSEWHERE = {
    r"sudo apt": "changes the system", r"git clone": "needs a server with the repository",
    r"ros2 launch regionmask_ros": "run by: test/ros/test_launch_files.py",
    rf"{PROGRAM} detector": "run by: test/ros/test_detector_process.py",
    rf"{PROGRAM} (info|param|call|echo) ?": "run by: test/ros/test_running.py",
    rf"{PROGRAM} view": "run by: test/ros/test_view.py",
    r"source ": "changes the shell",
}
"""Why commands of the pages outside of docs/ are not run. They have no comments, because people read them as text."""

RUNTIMES = r"\.onnx|yolox_nano|parking"
"""What is for a network in an ONNX file."""


@dataclass(frozen=True)
class Command:
    """A command line.

    Attributes:
        page: Where it stands.
        text: The line, without its comment.
        mark: What the comment above its block says; empty without one.
    """

    page: Path
    text: str
    mark: str

    @property
    def arguments(self) -> list[str]:
        """Those of a call of this package, its name first; empty for another command."""
        call = CALL.match(self.text)
        return shlex.split(call[1]) if call else []


def commands(page: Path) -> Iterator[Command]:
    for block in BLOCK.finditer(page.read_text(encoding="utf-8")):
        lines = block["text"].replace("\\\n", "").splitlines() if block["kind"] in ("", "sh") else []
        for line in lines:
            text = re.sub(r"(^|\s)#.*", "", line).strip()
            if text:
                yield Command(page, text, block["mark"] or "")


ALL = [command for page in PAGES for command in commands(page)]
CALLS = [command for command in ALL if command.arguments]
SPANS = [Command(page, text, "") for page in PAGES for text in SPAN.findall(page.read_text(encoding="utf-8"))
         if not text.split()[-1].isupper()]


def is_elsewhere(command: Command) -> bool:
    return command.page.parent == ROOT and any(re.match(start, command.text) for start in ELSEWHERE)


def runs_here(command: Command) -> bool:
    return any(name in COMMANDS for name in command.arguments[:1]) and not command.mark and not is_elsewhere(command)


def name_of(command: Command) -> str:
    return f"{command.page.name}-{command.text[:60]}"


def test_every_command_is_documented():
    assert {command.arguments[0] for command in CALLS if command.page.name == "COMMANDS.md"} == set(COMMANDS)


@pytest.mark.parametrize("command", [*CALLS, *SPANS], ids=name_of)
def test_every_command_line_is_accepted(command):
    name, *arguments = command.arguments
    if name in COMMANDS:
        build_parser(name).parse_args([word for word in arguments if word != "..."])
    else:
        assert name in ("help", "--version") and set(arguments) <= set(COMMANDS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_is_not_run_says_why(page):
    makefile = (ROOT / "Makefile").read_text()
    for command in commands(page):
        mark, target = MARK.fullmatch(command.mark), re.match(r"make ([\w-]+)", command.text)
        assert mark or not command.mark, f"{command.page}: {command.mark}"
        assert not mark or all((ROOT / name).is_file() for name in (mark["tests"] or "").split(", ") if name), mark
        assert runs_here(command) or mark or is_elsewhere(command) or (target and f"\n{target[1]}:" in makefile), (
            f"{page}: no test runs the command, and no comment above it says why: {command.text}")


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with all that the commands name: a drawn street as video, bag and data set, a mask, and networks."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "street").mkdir()
    images, labels = frames()
    write_video(folder / "street/video.mp4", images[:FRAMES], 20.0)
    rows = [f"{row.frame},{row.name},{row.x},{row.y},{row.width},{row.height},0,{row.track}"
            for row in labels if row.frame < FRAMES]
    (folder / "street/gt.csv").write_text("\n".join(["frame,class,x,y,w,h,ignore,track", *rows]) + "\n")
    for name in ("street.mp4", "morning.mp4", "night.mp4"):
        shutil.copy(folder / "street/video.mp4", folder / name)
    topics = {"/front/image_raw": [image(pixels, START_NS + i * STEP_NS) for i, pixels in enumerate(images[:3])]}
    write_bag(folder / "my_bag", topics)
    shutil.copy(next((folder / "my_bag").glob("*.mcap")), folder / "my_bag_0.mcap")
    (folder / "cache/regionmask_ros").mkdir(parents=True)
    kernels = user_folders.cache_folder() / "kernels"  # they take minutes to compile
    (folder / "cache/regionmask_ros/kernels").symlink_to(kernels)
    painted = np.zeros(images[0].shape[:2], np.uint8)
    painted[100:] = 255
    cv2.imwrite(str(folder / "painted.png"), painted)
    if find_spec("onnx"):
        from dense_networks import make_block_detector

        (folder / "yolox_nano.onnx").write_bytes(make_block_detector(80))
        (folder / "best.onnx").write_bytes(make_block_detector(2))
        (folder / "names.txt").write_text("car\nvan\n")
    return folder


@pytest.fixture(scope="module")
def done() -> set[str]:
    """The commands that have run: several pages have the same."""
    return set()


@pytest.mark.parametrize("page", [page for page in PAGES if any(map(runs_here, commands(page)))],
                         ids=lambda page: page.name)
def test_the_commands_of_a_page_run(page, place, done, trained_file, monkeypatch, capfd):
    monkeypatch.chdir(place)
    monkeypatch.setenv("XDG_DATA_HOME", str(place / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache"))
    # The set-up's video takes longer, and test/commands/test_run_dense.py imports a network with it.
    monkeypatch.setattr(calibration, "standard_source", lambda: str(place / "street/video.mp4"))
    has_runtimes = bool(find_spec("onnx") and (find_spec("openvino") or find_spec("onnxruntime")))
    for command in filter(runs_here, commands(page)):
        if command.text not in done and (has_runtimes or not re.search(RUNTIMES, command.text)):
            done.add(command.text)
            status = command_main(command.arguments[0], command.arguments[1:])
            assert status == 0, f"{command.text}: status {status}: {capfd.readouterr().err}"


def test_the_architecture_has_a_line_for_each_room():
    page = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rooms = {path.parent.name for path in (ROOT / "regionmask_ros").glob("*/__init__.py")}
    assert set(re.findall(r"^\| `(\w+)/`", page, re.MULTILINE)) == rooms


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_of_the_package_that_is_named_exists(page):
    folders = "regionmask_ros|test|config|bootstrap|launch|checks"
    named = re.findall(rf"`((?:{folders})/[\w/.]+)`", page.read_text(encoding="utf-8"))
    assert [name for name in named if not (ROOT / name).exists()] == []
