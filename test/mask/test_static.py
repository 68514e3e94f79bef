from __future__ import annotations

import io
import zipfile

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regionmask_ros.core.grid import RegionGrid
from regionmask_ros.errors import UserError
from regionmask_ros.mask.static import encode_mask_image, read_static_mask, save_static_mask

GRID, IMAGE_WH = RegionGrid(4, 6), (120, 90)


def painted(path, pixels: np.ndarray) -> str:
    assert cv2.imwrite(str(path), pixels)
    return str(path)


def refusal(path) -> str:
    with pytest.raises(UserError) as caught:
        read_static_mask(str(path)).fit(GRID, IMAGE_WH)
    line = str(caught.value)
    assert line.startswith(str(path)) and "\n" not in line
    return line


@pytest.mark.parametrize("convert", [
    lambda gray: gray,
    lambda gray: cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR),
    lambda gray: gray.astype(np.uint16) * 257,
    lambda gray: np.dstack([np.full_like(gray, 255)] * 3 + [gray]),
])
def test_an_image_in_grid_size_has_one_pixel_a_region(tmp_path, convert):
    gray = np.zeros(GRID.shape, np.uint8)
    gray[1, 2], gray[3, 5], gray[0, 0] = 128, 255, 127
    keep = read_static_mask(painted(tmp_path / "m.png", convert(gray))).fit(GRID, IMAGE_WH)
    assert np.argwhere(keep).tolist() == [[1, 2], [3, 5]]


def test_one_painted_pixel_attends_its_region(tmp_path):
    pixels = np.zeros((90, 120), np.uint8)
    pixels[22, 39] = pixels[89, 119] = 200               # regions are 20 pixels wide and 22.5 high
    pixels[23, 40] = 200
    keep = read_static_mask(painted(tmp_path / "m.png", pixels)).fit(GRID, IMAGE_WH)
    assert np.argwhere(keep).tolist() == [[0, 1], [1, 2], [3, 5]]


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 12), st.integers(1, 90), st.integers(1, 90))
@settings(max_examples=30)
def test_a_mask_enlarged_to_the_image_comes_back(tmp_path_factory, seed, rows, cols, width, height):
    keep = np.random.default_rng(seed).random((rows, cols)) < 0.4
    path = tmp_path_factory.mktemp("m") / "m.png"
    path.write_bytes(encode_mask_image(keep, (width, height)))
    np.testing.assert_array_equal(read_static_mask(str(path)).fit(RegionGrid(rows, cols), (width, height)), keep)


def test_saved_masks_come_back(tmp_path):
    keep = np.random.default_rng(0).random(GRID.shape) < 0.5
    save_static_mask(str(tmp_path / "m.npz"), keep, 16)
    np.testing.assert_array_equal(read_static_mask(str(tmp_path / "m.npz")).fit(GRID, IMAGE_WH), keep)
    assert [p.name for p in tmp_path.iterdir()] == ["m.npz"]


def test_heat_is_kept_beside_the_mask(tmp_path):
    heat = np.zeros(GRID.shape)
    heat[1, 2], heat[0, 0] = 4.0, 1.0
    save_static_mask(str(tmp_path / "m.npz"), heat > 2, 16, heat)
    read = read_static_mask(str(tmp_path / "m.npz"))
    assert read.heat.dtype == np.uint16 and (read.heat[1, 2], read.heat[0, 0], read.heat.sum()) == (65535, 16384, 81919)
    save_static_mask(str(tmp_path / "m.npz"), heat > 2, 16)
    assert read_static_mask(str(tmp_path / "m.npz")).heat is None
    np.savez(tmp_path / "m.npz", keep=heat > 2, region_px=16, heat=np.zeros((3, 3), np.uint16))
    assert "its heat must be uint16 [4, 6], not uint16 [3, 3]" in refusal(tmp_path / "m.npz")
    np.savez(tmp_path / "m.npz", keep=heat > 2, region_px=16, heat=np.zeros(GRID.shape, np.int32))
    assert "not int32 [4, 6]" in refusal(tmp_path / "m.npz")


def test_a_mask_of_another_grid_is_refused(tmp_path):
    save_static_mask(str(tmp_path / "m.npz"), np.ones((5, 6), bool), 16)
    assert "made for 5x6 regions of 16 pixels, but this input has 4x6 of 16" in refusal(tmp_path / "m.npz")
    painted(tmp_path / "m.png", np.zeros((7, 6), np.uint8))
    assert "an image of 6x7, but this camera needs 120x90 (its image) or 6x4" in refusal(tmp_path / "m.png")


def test_object_arrays_are_refused_before_they_are_read(tmp_path):
    np.savez(tmp_path / "m.npz", keep=np.array([[print]], object), region_px=16)
    assert "holds Python objects" in refusal(tmp_path / "m.npz")


def test_an_array_that_claims_to_be_huge_takes_no_memory(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|b1", "fortran_order": False, "shape": (10**9, 10**9)})
    with zipfile.ZipFile(tmp_path / "m.npz", "w") as archive:
        archive.writestr("keep.npy", header.getvalue())
    assert "its data do not have the size that its header says" in refusal(tmp_path / "m.npz")


@pytest.mark.parametrize("header", [
    "{'descr': '|b1', 'fortran_order': False, 'shape': (True, True)}",
    "{'descr': '|V0', 'fortran_order': False, 'shape': (4, 6)}",
    "{'descr': '<U0', 'fortran_order': False, 'shape': (4, 6)}",
    "{'descr': '|b1', 'fortran_order': False, 'shape': (" + "1, " * 70 + ")}",
    "{'descr': '|b1', 'fortran_order': False, 'shape': (4L, 6L)}",
    "{'descr': '|b1', 'fortran_order': False, 'shape': (-4, -6)}",
    "{'descr': '|b1', 'fortran_order': False, 'shape': 24}",
    "{'\\d': 1}",
    "{'descr': '|b1', 'fortran_order': False, 'shape': (4, 6",
    "'''",
    "[" * 5000,
    "9" * 6000,
])
def test_invalid_headers_are_refused_without_other_output(tmp_path, header, capfd, recwarn):
    magic = b"\x93NUMPY\x01\x00" + (len(header) + 1).to_bytes(2, "little") + header.encode() + b"\n"
    with zipfile.ZipFile(tmp_path / "m.npz", "w") as archive:
        archive.writestr("keep.npy", magic + bytes(24))
        archive.writestr("region_px.npy", magic + bytes(24))
    if "L" in header:                                    # an old spelling of 4 and 6, which NumPy still reads
        assert "it needs keep, bool" in refusal(tmp_path / "m.npz")
    else:
        refusal(tmp_path / "m.npz")
    assert capfd.readouterr().err == "" and not recwarn.list


def test_other_files_are_refused(tmp_path):
    (tmp_path / "text.png").write_text("not an image")
    assert "a text file, not a mask" in refusal(tmp_path / "text.png")
    (tmp_path / "noise.png").write_bytes(b"\xa0\0" * 9)
    assert "neither a PNG image nor an .npz mask" in refusal(tmp_path / "noise.png")
    (tmp_path / "empty.png").write_bytes(b"")
    assert "empty file" in refusal(tmp_path / "empty.png")
    assert "no such file" in refusal(tmp_path / "missing.png")
    assert "folder" in refusal(tmp_path)
    np.savez(tmp_path / "other.npz", weights=np.ones(3))
    assert "no array keep" in refusal(tmp_path / "other.npz")
    np.savez(tmp_path / "float.npz", keep=np.ones(GRID.shape), region_px=16)
    assert "array keep is float64 [4, 6]: not a mask" in refusal(tmp_path / "float.npz")


def mask_bytes(tmp_path, suffix: str) -> bytes:
    path = tmp_path / f"whole{suffix}"
    if suffix == ".png":
        painted(path, np.full(GRID.shape, 255, np.uint8))
    else:
        save_static_mask(str(path), np.ones(GRID.shape, bool), 16, np.ones(GRID.shape))
    return path.read_bytes()


@pytest.mark.parametrize("suffix", [".png", ".npz"])
def test_a_file_cut_anywhere_is_refused(tmp_path, suffix, capfd):
    whole = mask_bytes(tmp_path, suffix)
    for length in range(1, len(whole) - 1, 7):
        (tmp_path / f"cut{suffix}").write_bytes(whole[:length])
        refusal(tmp_path / f"cut{suffix}")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("suffix", [".png", ".npz"])
def test_damaged_bytes_give_a_mask_or_one_line(tmp_path, suffix, capfd):
    whole, rng = mask_bytes(tmp_path, suffix), np.random.default_rng(1)
    for _ in range(300):
        damaged = bytearray(whole)
        for at in rng.integers(0, len(whole), 3):
            damaged[at] = rng.integers(0, 256)
        (tmp_path / f"bad{suffix}").write_bytes(damaged)
        try:
            assert read_static_mask(str(tmp_path / f"bad{suffix}")).fit(GRID, IMAGE_WH).shape == GRID.shape
        except UserError as error:
            assert "\n" not in str(error)
    assert capfd.readouterr().err == ""
