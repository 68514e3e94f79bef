from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from checks.fuzz import faults
from checks.fuzz.__main__ import KINDS
from checks.fuzz.campaign import run_campaign, share_cases
from checks.fuzz.worker import make_case

REPOSITORY = Path(__file__).resolve().parents[2]


def test_no_reader_fails_on_two_thousand_damaged_inputs():
    done = subprocess.run([sys.executable, "-m", "checks.fuzz", "--cases", "2000", "--seed", "1", "--jobs", "2"],
                          cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(name in done.stdout for name in KINDS)


def test_a_case_is_the_same_whenever_it_is_made():
    for name, kind in KINDS.items():
        assert repr(make_case(kind, 7, 3)) == repr(make_case(kind, 7, 3)), name
        assert any(repr(make_case(kind, 7, 3)) != repr(make_case(kind, seed, 3)) for seed in (8, 9, 10)), name


def test_every_kind_gets_cases():
    shares = share_cases(list(KINDS.values()), 50)
    assert shares.keys() == KINDS.keys() and min(shares.values()) >= 1


def test_a_campaign_finds_every_fault_of_a_reader():
    tallies = run_campaign(faults.KINDS, len(faults.KINDS), 1, 1)
    found = {name.removeprefix("faulty reader: "): tally.counts for name, tally in tallies.items()}
    assert found == {
        "accept": {"accepted": 1}, "refuse": {"refused": 1}, "crash": {"crash": 1}, "hang": {"hang": 1},
        "fail": {"traceback": 1}, "fill_memory": {"memory": 1}, "write_outside": {"outside": 1},
        "leave_file": {"outside": 1}, "say_nothing": {"unclear": 1}}
