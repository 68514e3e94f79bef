"""`make audit` tells sound packages from those that nobody has looked up."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from bootstrap.failures import SetupError
from checks import audit

REPORT = {"dependencies": [
    {"name": "networkx", "version": "3.4.2", "vulns": []},
    {"name": "old", "version": "1.0", "vulns": [
        {"id": "PYSEC-2020-1", "fix_versions": ["1.1", "2.0"], "aliases": [], "description": "x"},
        {"id": "GHSA-1", "fix_versions": [], "aliases": [], "description": "x"}]},
    {"name": "ros-rclpy", "skip_reason": "Dependency not found on PyPI and could not be audited: ros-rclpy (1.0)"},
], "fixes": []}


def fake_tool(folder: Path, text: str) -> Path:
    """A program that answers as pip-audit does, which needs the network."""
    (folder / "answer").write_text(text)
    tool = folder / "pip-audit"
    tool.write_text(f"#!/bin/sh\ncat {folder}/answer\n")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    return tool


def test_a_report_is_read():
    found = audit.read_report(json.dumps(REPORT))
    assert found.checked == 2 and found.unknown == ("ros-rclpy",)
    assert found.vulnerable == (
        "old 1.0: PYSEC-2020-1, mended in 1.1, 2.0", "old 1.0: GHSA-1, mended in no release")


@pytest.mark.parametrize(("packages", "status", "words"), [
    (REPORT["dependencies"], audit.VULNERABLE, "2 known vulnerabilities"),
    (REPORT["dependencies"][:1], audit.SOUND, "1 looked up, 0 unknown to the list, 0 known"),
    (REPORT["dependencies"][2:], audit.UNKNOWN, "not done: the list"),
    (None, audit.UNKNOWN, "not done: the list"),
])
def test_what_was_not_looked_up_is_not_called_sound(tmp_path, monkeypatch, capsys, packages, status, words):
    tool = fake_tool(tmp_path, json.dumps({"dependencies": packages}))
    monkeypatch.setattr(audit, "install_tool", lambda: tool)
    assert audit.main([str(audit.LOCK)]) == status
    assert words in capsys.readouterr().out


def test_without_the_tool_it_says_so(monkeypatch, capsys):
    monkeypatch.setattr(audit, "install_tool", lambda: None)
    assert audit.main([]) == audit.UNKNOWN and "not done: pip-audit" in capsys.readouterr().out


def test_a_tool_that_is_not_the_pinned_one_is_said(monkeypatch, capsys):
    def refuse():
        raise SetupError("rich==1.0: the file from the package index is not the one")

    monkeypatch.setattr(audit, "install_tool", refuse)
    assert audit.main([]) == audit.UNKNOWN and "not done: rich==1.0: the file" in capsys.readouterr().out
