"""Masks whose files go away while they are in use."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from regionmask_ros.errors import UserError
from regionmask_ros.mask.remembered import REMEMBERED, RememberedMasks
from regionmask_ros.mask.static import save_static_mask


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "mask.npz"
    save_static_mask(str(path), np.eye(4, dtype=bool), 16)
    return path


@pytest.mark.parametrize("damage", [Path.unlink, lambda file: file.write_bytes(b""), lambda file: file.write_text("x")])
def test_content_is_kept_and_the_trouble_is_named(file, damage):
    masks, path = RememberedMasks(), str(file)
    np.testing.assert_array_equal(masks.read(path).attended, np.eye(4))
    assert masks.find_trouble(path) is None
    content = file.read_bytes()
    damage(file)
    assert path in str(masks.find_trouble(path))
    np.testing.assert_array_equal(masks.read(path).attended, np.eye(4))
    assert path in str(masks.find_trouble(path))
    file.write_bytes(content)
    assert masks.find_trouble(path) is None


def test_new_content_is_read(file):
    masks = RememberedMasks()
    masks.read(str(file))
    save_static_mask(str(file), np.ones((2, 2), bool), 16)
    assert masks.read(str(file)).attended.all()


def test_file_that_was_never_read_is_refused(tmp_path):
    masks = RememberedMasks()
    for _ in range(2):
        with pytest.raises(UserError, match="no such file"):
            masks.read(str(tmp_path / "none.npz"))
    assert masks.find_trouble(str(tmp_path / "none.npz")) is None


def test_file_that_does_not_change_is_read_once(file):
    reads = []

    def read(path: str, max_pixels: int):
        reads.append(path)
        raise UserError("damaged")

    masks = RememberedMasks()
    masks.read(str(file))
    masks._read = read
    file.unlink()
    assert {str(masks.find_trouble(str(file))) for _ in range(5)} == {"damaged"} and len(reads) == 1


def test_few_files_are_kept(file):
    masks = RememberedMasks()
    for index in range(REMEMBERED + 1):
        path = file.with_name(f"{index}.npz")
        path.write_bytes(file.read_bytes())
        masks.read(str(path))
        path.unlink()
    with pytest.raises(UserError):
        masks.read(str(file.with_name("0.npz")))
    masks.read(str(file.with_name("1.npz")))
