"""What the page of ``paint`` asks its server for: pictures, heat, what a mask would lose, and to save it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..core.grid import RegionGrid
from ..errors import UserError
from ..interrupts import NAP_S
from ..mask.heat import DEFAULT_COVER, Calibration, Target
from ..mask.learned import LARGE_SHARE
from ..web.server import Answer, Request, Route, Routes, page_routes

MASK = "application/octet-stream"
"""A mask in a request: one byte a region, row by row, ``0`` or ``1``."""

GOODBYE_S = 2.0
"""How long the page may take to learn that its mask is saved."""


@dataclass(frozen=True)
class Subject:
    """What is painted on.

    Attributes:
        name: Name of the source.
        image_wh: Width and height of the camera's image.
        calibration: The objects that were seen, which may be none.
        pictures: JPEG files, at least one.
        learned_from: Where the objects come from, in words.
    """

    name: str
    image_wh: tuple[int, int]
    calibration: Calibration
    pictures: Sequence[bytes]
    learned_from: str

    @property
    def grid(self) -> RegionGrid:
        """The region grid."""
        return self.calibration.grid


class Painting:
    """Answers the page until it has saved a mask, once.

    Args:
        subject: What is painted on.
        save: Writes a mask, bool [rows, cols], and returns the name of its file. Its UserError is shown in the page,
            where one can try again.

    Attributes:
        saved: The mask that was saved, bool [rows, cols]; None before.
    """

    def __init__(self, subject: Subject, save: Callable[[np.ndarray], str]) -> None:
        self._subject, self._save = subject, save
        self.saved: np.ndarray | None = None
        self._saving, self._is_saved, self._is_told = threading.Lock(), threading.Event(), threading.Event()

    def routes(self) -> Routes:
        """All that is answered."""
        size = self._subject.grid.rows * self._subject.grid.cols
        return {
            **page_routes("paint.html", "common.css", "paint.css", "paint.js"),
            ("GET", "state"): Route(self._tell_state),
            ("GET", "picture"): Route(self._show_picture),
            ("GET", "fill"): Route(self._fill),
            ("POST", "count"): Route(lambda request: Answer.of_json(self.count(self._read_mask(request))), size, MASK),
            ("POST", "save"): Route(self._save_mask, size, MASK),
            ("POST", "end"): Route(self._end),
        }

    def wait(self) -> None:
        """Returns when a mask is saved and the page has shown it."""
        while not self._is_saved.wait(NAP_S):
            pass
        self._is_told.wait(GOODBYE_S)

    def count(self, keep: np.ndarray) -> dict[str, object]:
        """What a mask, bool [rows, cols], observes and loses."""
        share = float(keep.mean())
        return {"kept": share, "is_large": share > LARGE_SHARE, "objects": self._subject.calibration.objects,
                "lost": self._subject.calibration.count_lost([keep])[0]}

    def _tell_state(self, request: Request) -> Answer:
        subject, heat = self._subject, self._subject.calibration.heat
        # The square root, so that rare places are visible.
        shown = np.round(255.0 * np.sqrt(heat / max(float(heat.max()), 1e-300))).astype(int)
        return Answer.of_json({
            "name": subject.name, "rows": subject.grid.rows, "cols": subject.grid.cols,
            "width": subject.image_wh[0], "height": subject.image_wh[1], "pictures": len(subject.pictures),
            "objects": subject.calibration.objects, "frames": subject.calibration.frames,
            "learned_from": subject.learned_from, "heat": shown.ravel().tolist(), "cover": DEFAULT_COVER})

    def _show_picture(self, request: Request) -> Answer:
        number = request.query.get("n", "")
        if not number.isdecimal() or len(number) > 6 or int(number) >= len(self._subject.pictures):
            raise UserError("there is no such picture")
        return Answer(self._subject.pictures[int(number)], "image/jpeg")

    def _fill(self, request: Request) -> Answer:
        try:
            target = Target(float(request.query.get("cover", "")), None)
        except ValueError as error:
            raise UserError("cover must be a number") from error
        keep = target.mask(self._subject.calibration.heat)
        return Answer.of_json({"keep": "".join(map(str, keep.ravel().astype(int)))})

    def _read_mask(self, request: Request) -> np.ndarray:
        grid, body = self._subject.grid, request.body
        if len(body) != grid.rows * grid.cols or body.strip(b"01"):
            raise UserError(f"not a mask of {grid.rows}x{grid.cols} regions")
        return np.frombuffer(body, np.uint8).reshape(grid.shape) == ord("1")

    def _save_mask(self, request: Request) -> Answer:
        keep = self._read_mask(request)
        if not keep.any():
            raise UserError("the mask observes nothing: paint the regions in which objects matter")
        with self._saving:
            if self.saved is not None:
                raise UserError("a mask is saved already; start the command again for another one")
            file = self._save(keep)
            self.saved = keep
        self._is_saved.set()
        return Answer.of_json({"file": file})

    def _end(self, request: Request) -> Answer:
        self._is_told.set()
        return Answer.of_json({})
