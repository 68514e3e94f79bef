"""The folder of compiled networks: nobody else may write there."""

from __future__ import annotations

import pytest

from regionmask_ros.errors import UserError
from regionmask_ros.files.model_cache import find_model_cache


def test_the_users_folder_is_made_for_its_owner_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = find_model_cache("")
    assert folder == tmp_path / "regionmask_ros" / "models" and folder.stat().st_mode & 0o777 == 0o700
    assert find_model_cache("none") is None


def test_the_users_folder_is_not_used_when_others_can_write_there_and_that_is_said(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    find_model_cache("").chmod(0o775)
    assert find_model_cache("") is None
    assert f"other users can write to {tmp_path / 'regionmask_ros' / 'models'}" in caplog.text


def test_a_named_folder_that_others_can_write_is_refused(tmp_path):
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(UserError, match="model_cache .*: not used, because other users can write"):
        find_model_cache(str(tmp_path / "open"))
