"""Static masks: the source, and its file, an image that was painted by hand or the ``.npz`` that the tools write.

A file may come from anyone: it is read within limits, and nothing in it is executed.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np

from ..core.grid import RegionGrid
from ..errors import UNSUPPORTED, InvalidFile
from ..files.content import HEAD_BYTES, PNG_MAGIC, Family, check_head
from ..files.outputs import write_whole
from ..files.safe_read import ZIP_MAGIC, open_regular, open_zip, read_array
from ..sources.pictures.decode import decode_mask, read_picture
from ..sources.pictures.header import MAX_IMAGE_PIXELS, PNG
from .heat import rank_by_heat
from .source import STATIC, MaskContext, StatelessSource

ATTENDED_ABOVE = 127
MAX_HEAT = 65_535


class StaticSource(StatelessSource):
    """Proposes the same regions in every frame.

    Attributes:
        keep: These regions, bool [rows, cols].
    """

    name = STATIC

    def __init__(self, keep: np.ndarray, heat: np.ndarray | None = None) -> None:
        """Makes a source.

        Args:
            keep: bool [rows, cols], True = observed.
            heat: How hot each region is, [rows, cols], to rank them by. None: regions in the mask come first.
        """
        self.keep, self._heat = keep, heat

    @cached_property
    def ranks(self) -> np.ndarray:
        """The order of the regions, see ``heat.rank_by_heat``."""
        return rank_by_heat(self.keep if self._heat is None else self._heat)

    def propose(self, context: MaskContext) -> np.ndarray:
        """The mask, bool [rows, cols]."""
        return self.keep


@dataclass(frozen=True)
class StaticMaskFile:
    """A mask as a file holds it.

    Attributes:
        path: The file, for messages.
        attended: bool [height, width], one value a region or a pixel.
        region_px: Side of the regions that it is for. None for an image, whose size says what its pixels are.
        heat: uint16 [height, width], how hot the regions are. None where that is not known.
    """

    path: str
    attended: np.ndarray
    region_px: int | None
    heat: np.ndarray | None = None

    def fit(self, grid: RegionGrid, image_wh: tuple[int, int]) -> np.ndarray:
        """The mask on a region grid.

        Args:
            grid: The region grid.
            image_wh: Width and height of the camera's image.

        Returns:
            bool [rows, cols].

        Raises:
            UserError: The mask is for another grid or image.
        """
        try:
            if self.region_px is None:
                return _from_image(self.attended, grid, image_wh)
            return _from_regions(self.attended, self.region_px, grid)
        except InvalidFile as refused:
            raise refused.about(self.path) from refused


def read_static_mask(path: str, max_pixels: int = MAX_IMAGE_PIXELS) -> StaticMaskFile:
    """Reads a ``.png`` or ``.npz`` mask, whatever grid it is for.

    A ``.png`` has one pixel a region, or is as large as the camera's image. Pixels brighter than 127 are observed
    (transparent ones are not), and a region is observed as soon as one of its pixels is.
    An ``.npz`` was written by ``save_static_mask``.

    Args:
        path: The file.
        max_pixels: Largest number of pixels of an image.

    Returns:
        The mask.

    Raises:
        UserError: The file is not such a mask: one line with the file and the cause.
    """  # noqa: DOC501  ``about`` makes a UserError
    try:
        with open_regular(path) as file:
            head = file.read(HEAD_BYTES)
            if head.startswith(PNG_MAGIC):
                picture = read_picture(file, max_pixels, (PNG,))
                return StaticMaskFile(path, _brightness(decode_mask(picture, max_pixels)) > ATTENDED_ABOVE, None)
            check_head(head, (Family.ARRAYS, Family.ARCHIVE), "a mask (a PNG image or an .npz file)")
            if head.startswith(ZIP_MAGIC):
                return StaticMaskFile(path, *_read_npz(file))
        raise InvalidFile("neither a PNG image nor an .npz mask", UNSUPPORTED)
    except InvalidFile as refused:
        raise refused.about(path) from refused


def encode_static_mask(keep: np.ndarray, region_px: int, heat: np.ndarray | None = None) -> bytes:
    """Makes the content of a mask file, an ``.npz``.

    It holds ``keep`` bool [rows, cols], ``region_px`` and, if it is given, ``heat``: the hottest region has 65535.

    Args:
        keep: bool [rows, cols], True = observed.
        region_px: Side of a region in input pixels.
        heat: How hot the regions are, float [rows, cols], 0 or more.

    Returns:
        The content.
    """
    arrays: dict[str, Any] = {"keep": np.asarray(keep, np.bool_), "region_px": np.int32(region_px)}
    if heat is not None:
        arrays["heat"] = np.round(heat * (MAX_HEAT / max(float(heat.max()), 1e-300))).astype(np.uint16)
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    return content.getvalue()


def encode_mask_image(keep: np.ndarray, image_wh: tuple[int, int]) -> bytes:
    """Makes the content of a mask file, a PNG, as large as the image, so that it fits every input of this camera.

    Args:
        keep: bool [rows, cols], True = observed.
        image_wh: Width and height of the camera's image. Where it has fewer pixels than regions along a side, the PNG
            has one pixel a region.

    Returns:
        The content.

    Raises:
        ValueError: OpenCV cannot encode it.
    """
    (rows, cols), (width, height) = keep.shape, image_wh
    if width >= cols and height >= rows:
        keep = keep[np.arange(height)[:, None] * rows // height, np.arange(width) * cols // width]
    done, content = cv2.imencode(".png", keep.astype(np.uint8) * 255)
    if not done:
        raise ValueError(f"OpenCV cannot encode an image of {keep.shape[1]}x{keep.shape[0]} as PNG")
    return content.tobytes()


def save_static_mask(path: str, keep: np.ndarray, region_px: int, heat: np.ndarray | None = None) -> None:
    """Writes a mask file, see ``encode_static_mask``. It appears when it is complete.

    Args:
        path: The file.
        keep: bool [rows, cols], True = observed.
        region_px: Side of a region in input pixels.
        heat: How hot the regions are, float [rows, cols], 0 or more.
    """
    write_whole(Path(path), encode_static_mask(keep, region_px, heat))


def _brightness(pixels: np.ndarray) -> np.ndarray:
    """Brightness times opacity, uint8 [height, width], of an image in BGR order."""
    if pixels.dtype == np.uint16:
        pixels >>= 8  # in place: such an image can have half a gigabyte
        pixels = pixels.astype(np.uint8)
    if pixels.ndim == 2:
        return pixels
    gray = np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels[:, :, :3]), cv2.COLOR_BGR2GRAY))
    if pixels.shape[2] == 4:
        gray = np.asarray(gray.astype(np.uint16) * pixels[:, :, 3] // 255, np.uint8)
    return gray


def _from_image(attended: np.ndarray, grid: RegionGrid, image_wh: tuple[int, int]) -> np.ndarray:
    if attended.shape == grid.shape:
        return np.array(attended)
    height, width = attended.shape
    if (width, height) != image_wh:
        raise InvalidFile(
            f"an image of {width}x{height}, but this camera needs {image_wh[0]}x{image_wh[1]} "
            f"(its image) or {grid.cols}x{grid.rows} (one pixel a region)")
    y, x = np.nonzero(attended)
    keep = grid.full(False)
    keep[y * grid.rows // height, x * grid.cols // width] = True
    return keep


def _read_npz(file: BinaryIO) -> tuple[np.ndarray, int, np.ndarray | None]:
    archive = open_zip(file)
    keep, region_px = (read_array(archive, name, "biu", "a mask") for name in ("keep", "region_px"))
    if keep.dtype != np.bool_ or keep.ndim != 2 or region_px.ndim or region_px.dtype.kind not in "iu":
        raise InvalidFile("not a mask: it needs keep, bool [rows, cols], and region_px, one integer")
    if "heat.npy" not in archive.namelist():
        return keep, int(region_px), None
    heat = read_array(archive, "heat", "biu", "a mask")
    if heat.dtype != np.uint16 or heat.shape != keep.shape:
        raise InvalidFile(
            f"not a mask: its heat must be uint16 {list(keep.shape)}, not {heat.dtype} {list(heat.shape)}")
    return keep, int(region_px), heat


def _from_regions(keep: np.ndarray, region_px: int, grid: RegionGrid) -> np.ndarray:
    if keep.shape != grid.shape or region_px != grid.region_px:
        made = f"{keep.shape[0]}x{keep.shape[1]} regions of {region_px} pixels"
        raise InvalidFile(f"made for {made}, but this input has {grid.rows}x{grid.cols} of {grid.region_px}")
    return np.array(keep)
