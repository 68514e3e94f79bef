from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from checks import kills
from checks.endings.writers import WRITERS


def test_outputs_are_old_or_new_and_nothing_is_left(capsys):
    names = ["masks", "cache of the set-up"]
    tallies = kills.run_campaign(names, len(names), 1)
    assert {(tally.kills, tally.damaged, tally.left) for tally in tallies.values()} == {(1, 0, 0)}
    assert capsys.readouterr().out == "" and "cache of the set-up" in kills.format_tallies(tallies)


@pytest.mark.parametrize("name", [name for name in WRITERS if name != "bags"])
def test_what_was_written_is_read_and_half_of_it_is_not(name, tmp_path):
    folder = tmp_path / "written"
    folder.mkdir(0o700)
    WRITERS[name].write(folder, 1234)
    assert WRITERS[name].read(folder) == 1234
    for path in filter(Path.is_file, folder.rglob("*")):
        path.write_bytes(path.read_bytes()[:path.stat().st_size // 2])
    tally = kills.Tally()
    kills.judge(name, folder, tally)
    assert (tally.kills, tally.damaged, tally.left) == (1, 1, 0)


def test_what_the_next_program_leaves_is_found(tmp_path, monkeypatch):
    def write(folder: Path, number: int) -> None:
        WRITERS["masks"].write(folder, number)
        (folder / ".mask.partial").touch()

    monkeypatch.setattr(kills, "WRITERS", {"masks": replace(WRITERS["masks"], write=write)})
    tmp_path.chmod(0o700)
    WRITERS["masks"].write(tmp_path, 1)
    tally = kills.Tally()
    kills.judge("masks", tmp_path, tally)
    assert (tally.damaged, tally.left) == (0, 1)
