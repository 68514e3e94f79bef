"""Files are whole, old or new, however a process ends, and what a dead one has left is removed at the next start."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from regionmask_ros.files.outputs import MARKER, DemoFolder, Outputs
from regionmask_ros.files.temporary import exchange, make_temporary, remove_abandoned, temporary_folder

KILLS = int(os.environ.get("KILLS", "4"))

DEMO = """
import sys
from regionmask_ros.files.outputs import DemoFolder

print("ready", flush=True)
number = 0
while True:
    number += 1
    with DemoFolder(sys.argv[1]) as folder:
        for name in ("a", "b"):
            (folder.work / name).write_text(str(number) * 1000)
        folder.commit()
"""


def start(program: str, target: Path) -> subprocess.Popen:
    process = subprocess.Popen([sys.executable, "-c", program, str(target)], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    return process


def kill_after(process: subprocess.Popen, seconds: float) -> None:
    time.sleep(seconds)
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.parametrize("seed", range(KILLS))
def test_a_demos_folder_is_old_or_new_whenever_its_demo_is_killed(tmp_path, seed):
    target, rng = tmp_path / "demo", random.Random(seed)
    with DemoFolder(str(target)) as folder:
        for name in ("a", "b"):
            (folder.work / name).write_text("0" * 1000)
        folder.commit()
    kill_after(start(DEMO, target), rng.uniform(0.001, 0.1))
    assert (target / "a").read_text() == (target / "b").read_text()
    with DemoFolder(str(target)):
        assert len(os.listdir(tmp_path)) == 2
    assert os.listdir(tmp_path) == ["demo"] and {"a", "b", MARKER} == set(os.listdir(target))


def test_a_folder_that_was_moved_away_comes_back(tmp_path):
    (tmp_path / ".demo.0a1b2c3d.old").mkdir()
    (tmp_path / ".demo.0a1b2c3d.old" / MARKER).touch()
    (tmp_path / ".demo.00000000.partial").mkdir()
    with DemoFolder(str(tmp_path / "demo")):
        assert os.listdir(tmp_path / "demo") == [MARKER]
    assert os.listdir(tmp_path) == ["demo"]


def test_files_of_living_processes_and_of_others_stay(tmp_path):
    (tmp_path / ".mask.npz.partial").touch()
    (tmp_path / ".mask.0123abcd.partial.npz").mkdir()
    (tmp_path / ".link.0123abcd.partial.npz").symlink_to(tmp_path / "mask.npz")
    (tmp_path / "mask.npz").touch()
    with Outputs() as outputs:
        name = outputs.file(str(tmp_path / "a.csv"))
        code = "import sys; from regionmask_ros.files.temporary import remove_abandoned; remove_abandoned(sys.argv[1])"
        subprocess.run([sys.executable, "-c", code, tmp_path], check=True)
        remove_abandoned(str(tmp_path))
        assert os.path.exists(name) and len(os.listdir(tmp_path)) == 5
    assert len(os.listdir(tmp_path)) == 4


def test_the_temporary_file_of_an_ended_process_is_removed(tmp_path):
    code = "import sys; from regionmask_ros.files.temporary import make_temporary; make_temporary(sys.argv[1])"
    for _ in range(2):
        subprocess.run([sys.executable, "-c", code, tmp_path / "a.mp4"], check=True)
    assert len(os.listdir(tmp_path)) == 2
    remove_abandoned(str(tmp_path))
    assert os.listdir(tmp_path) == []


@given(name=st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1, max_size=60))
@example(name="0.")
def test_every_name_that_a_file_can_have_gets_a_temporary_one_that_is_recognized(tmp_path_factory, name):
    folder = tmp_path_factory.mktemp("names")
    path = str(folder / name)
    if name in (".", "..") or len(os.fsencode(name)) > 150:
        return
    temporary, descriptor = make_temporary(path)
    os.close(descriptor)
    assert temporary.endswith(os.path.splitext(path)[1])
    remove_abandoned(str(folder))
    assert os.listdir(folder) == []


def test_temporary_folders_of_ended_processes_are_removed_and_those_of_living_ones_stay(tmp_path):
    code = ("import os, signal, sys\nfrom pathlib import Path\n"
            "from regionmask_ros.files.temporary import temporary_folder\n"
            "with temporary_folder(Path(sys.argv[1])) as folder:\n"
            "    (folder / 'file').touch()\n    os.kill(os.getpid(), signal.SIGKILL)")
    subprocess.run([sys.executable, "-c", code, tmp_path / "new" / "bag"], check=False)
    (tmp_path / "new" / ".bag.1.part").mkdir()
    assert len(os.listdir(tmp_path / "new")) == 2
    with temporary_folder(tmp_path / "new" / "bag") as first, temporary_folder(tmp_path / "new" / "other") as second:
        assert first.is_dir() and second.is_dir() and len(os.listdir(tmp_path / "new")) == 3
    assert os.listdir(tmp_path / "new") == [".bag.1.part"]
    with temporary_folder(tmp_path / "a" / "b" / "bag"):
        pass
    assert os.listdir(tmp_path) == ["new"]


def test_two_files_are_exchanged(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    if not exchange(tmp_path / "a", tmp_path / "b"):
        pytest.skip("this file system cannot exchange files")
    assert (tmp_path / "a").read_text() == "b" and (tmp_path / "b").read_text() == "a"
    assert not exchange(tmp_path / "a", tmp_path / "none") and (tmp_path / "a").read_text() == "b"
