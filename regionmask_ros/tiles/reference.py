"""The rule of the tile engine in NumPy: slow, and the definition of what the engine computes, bit for bit.

Every tensor is *held*: its bytes are what the nodes that read it were last told. A tile of a tensor is 16x16 pixels of
the input, with all channels. In a frame, a tile of the image that has changed enough is replaced by new pixels: those
of its sections (``sections.Sections``) that have changed enough themselves, which are *dirty* then. A tile of another
tensor is *due* if anything that it reads is dirty, now or while the mask did not attend to it (it is *pending* then).
A due tile is computed from held inputs. If it differs enough from what is held, it is replaced and is dirty itself;
otherwise nodes that read it are told nothing, and it is *weak* if it differs at all. Only convolutions and pools are
compared: a due tile of any other node is replaced and dirty. If most of an image that is attended as a whole was
replaced, the frame goes on as a *dense* one: everything is due and replaced. As nothing is ever added up, nothing
drifts: with everything attended and thresholds of 0, all tensors are what the dense network computes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .frame import COUNTS, StepOutput, dense_pixels, join_rows, thresholds_of
from .grid import REGION, Divided, expand, grids_of, regions_of, spread, sum_tiles, tiles_read
from .network import TileNetwork, change_limit, is_compared
from .noise import find_quiet_square
from .operators.quantized import operator_of
from .sections import sections_of


class TileReference:
    """The state of one camera, with the interface of ``engine.TileEngine``.

    Args:
        network: The quantized network.
        input_wh: Width and height of the images.

    Attributes:
        kernel_set: What computes: "reference".

    Raises:
        ValueError: The images do not fit the network.
    """

    kernel_set = "reference"

    def __init__(self, network: TileNetwork, input_wh: tuple[int, int]) -> None:
        self.network, self.graph = network, network.graph
        self._shapes = self.graph.shapes(input_wh)
        self._grids = grids_of(self._shapes, self.graph.strides())
        self._sections = sections_of(self.graph, self._grids)
        self._read: dict[str, Divided] = {**self._grids, self.graph.input: self._sections}
        self._regions = (-(-input_wh[1] // REGION), -(-input_wh[0] // REGION))
        self._held = {name: np.zeros(shape, np.uint8 if name in network.quantizations else np.float32)
                      for name, shape in self._shapes.items()}
        self.reset()

    @property
    def memory_bytes(self) -> int:
        """Bytes of the held tensors."""
        return sum(values.nbytes for values in self._held.values())

    def reset(self) -> None:
        """Forgets all frames: the next one is computed as a whole."""
        self._is_new = True
        for name, values in self._held.items():
            values[:] = self.network.quantizations[name].zero if name in self.network.quantizations else 0
        self._pending, self._weak = ({name: self._no_tile(name) for name in self._shapes} for _ in range(2))
        self._thresholds = np.zeros(len(self.graph.nodes))
        self._touched: set[str] = set()

    def held(self, name: str) -> np.ndarray:
        """What is held of a tensor, [rows, cols, channels]; writing to it needs ``touch``."""
        return self._held[name]

    def touch(self, name: str) -> None:
        """Tells the next frame that all of a tensor was replaced by the caller."""
        self._touched.add(name)

    def step(self, image: np.ndarray | None, attended: np.ndarray | None = None, level: float | Sequence[float] = 0.0,
             input_threshold: float = 0.0, *, is_dense: bool = False) -> StepOutput:
        """Computes a frame; see ``engine.TileEngine.step``."""
        thresholds, is_dense = thresholds_of(self.network, level), is_dense or self._is_new
        regions = np.ones(self._regions, bool) if attended is None or is_dense else np.asarray(attended, bool)
        counts = np.zeros((1 + len(self.graph.nodes), len(COUNTS)), np.int64)
        dirty: dict[str, np.ndarray] = {}
        input_change: np.ndarray = np.zeros(self._regions, np.int64)
        quiet_square = -1.0
        if image is None:
            dirty[self.graph.input] = np.zeros((self._sections.rows, self._sections.cols), bool)
        else:
            new = np.asarray(image)
            input_change = np.where(regions, self._change(self.graph.input, new), 0)
            quiet_square = find_quiet_square(input_change, self._values(self.graph.input), regions)
            dirty[self.graph.input] = self._take_image(
                new, regions, input_change, None if is_dense else input_threshold, counts[0])
            is_dense |= bool(regions.all()) and bool(counts[0, 3] >= dense_pixels(new.shape[0] * new.shape[1]))
        self._mark_touched(self.graph.input, dirty)

        for index, node in enumerate(self.graph.nodes):
            name, operator, grid = node.name, operator_of(node), self._grids[node.name]
            threshold = thresholds[index]
            if threshold < self._thresholds[index]:
                # What was too small a change for the last threshold may be large enough for this one.
                self._pending[name] |= self._weak[name]
                self._weak[name] = self._no_tile(name)
            reached = self._pending[name] | is_dense
            for source in node.inputs:
                reached |= spread(dirty[source], tiles_read(operator, self._read[source], grid))
            may = spread(regions, regions_of(grid, self._regions))
            due, self._pending[name] = reached & may, reached & ~may
            self._weak[name] &= ~due
            dirty[name] = due
            if due.any():
                new = operator.step([self._held[source] for source in node.inputs], node.parameters)
                if not is_dense and is_compared(operator):
                    differences = self._change(name, new)
                    dirty[name] = due & (differences >= limits_of(threshold, self._values(name)))
                    self._weak[name] |= due & (differences > 0) & ~dirty[name]
                self._replace(name, new, dirty[name])
            self._count(counts[1 + index], name, due, dirty[name])
            self._mark_touched(name, dirty)

        self._is_new, self._thresholds = False, thresholds
        self._touched.clear()
        heads = {name: self._held[name] for name in self.graph.outputs}
        has_changed = any(counts[1 + i, 2] for i, node in enumerate(self.graph.nodes) if node.name in heads)
        return StepOutput(heads, input_change, counts, join_rows(list(heads.values())), quiet_square, has_changed)

    def _take_image(self, new: np.ndarray, regions: np.ndarray, change: np.ndarray, threshold: float | None,
                    counts: np.ndarray) -> np.ndarray:
        """Replaces what has changed enough; everything without a threshold.

        Returns:
            Which sections that is, bool [section rows, section cols].
        """
        sections, name, channels = self._sections, self.graph.input, self._shapes[self.graph.input][2]
        if threshold is None:
            tiles, dirty = regions, sections.of_tiles(regions)
        else:
            tiles = regions & (change >= limits_of(threshold, self._values(name)))
            squares = (new.astype(np.int64) - self._held[name]) ** 2
            dirty = sections.of_tiles(tiles) & (
                sections.sum(squares) >= limits_of(threshold, sections.pixels() * channels))
        where = sections.expand(dirty)
        self._held[name][where] = new[where]
        counts[:] = regions.sum(), self._grids[name].pixels()[regions].sum(), tiles.sum(), where.sum()
        return dirty

    def _no_tile(self, name: str) -> np.ndarray:
        return np.zeros((self._grids[name].rows, self._grids[name].cols), bool)

    def _change(self, name: str, new: np.ndarray) -> np.ndarray:
        """Sums the squared differences to what is held over each tile; of heads, counts the values that differ."""
        if new.dtype != np.uint8:
            return sum_tiles(new != self._held[name], self._grids[name])
        return sum_tiles((new.astype(np.int64) - self._held[name]) ** 2, self._grids[name])

    def _values(self, name: str) -> np.ndarray:
        """How many values each tile has, int64 [rows, cols]."""
        values: np.ndarray = self._grids[name].pixels() * self._shapes[name][2]
        return values

    def _replace(self, name: str, new: np.ndarray, tiles: np.ndarray) -> None:
        where = expand(tiles, self._grids[name])
        self._held[name][where] = new[where]

    def _count(self, counts: np.ndarray, name: str, due: np.ndarray, dirty: np.ndarray) -> None:
        pixels = self._grids[name].pixels()
        counts[:] = due.sum(), pixels[due].sum(), dirty.sum(), pixels[dirty].sum()

    def _mark_touched(self, name: str, dirty: dict[str, np.ndarray]) -> None:
        if name in self._touched:
            dirty[name] = np.ones_like(dirty[name])


def limits_of(threshold: float, values: np.ndarray) -> np.ndarray:
    """See ``network.change_limit``, for numbers of values int64 [rows, cols]."""
    limits: np.ndarray = np.vectorize(lambda count: change_limit(threshold, int(count)), otypes=[np.int64])(values)
    return limits
