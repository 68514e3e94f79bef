"""The parts of a camera's state, made for a network of either kind."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..core.grid import RegionGrid
from ..encoder.encoder import Encoder
from ..mask.composer import MaskComposer
from ..mask.remembered import RememberedMasks
from ..mask.rolling import find_rolling
from ..mask.tiling import Tiling
from ..network.dense import AnyNetwork, DenseNetwork
from .composition import ComposerFactory, make_camera_tiling, make_composer
from .dense_interpreter import DenseInterpreter
from .interpreter import Interpreter
from .settings import FINEST, PipelineSettings


@dataclass(frozen=True)
class CameraMaker:
    """Makes the parts of cameras that run one network.

    Attributes:
        network: The network.
        composer_factory: Makes the masks instead of the settings, for experiments; None: the settings do.
        static_masks: Reads static masks; they outlive their files.
    """

    network: AnyNetwork
    composer_factory: ComposerFactory | None
    static_masks: RememberedMasks = field(default_factory=RememberedMasks)

    def grid(self, input_wh: tuple[int, int]) -> RegionGrid:
        """The region grid of an input of this width and height."""
        if isinstance(self.network, DenseNetwork):
            return RegionGrid.near_input(input_wh)
        return RegionGrid.of_input(input_wh)

    def tiling(self, settings: PipelineSettings, grid: RegionGrid, image_wh: tuple[int, int],
               input_wh: tuple[int, int]) -> Tiling | None:
        """The windows of a dense runtime, see ``composition.make_camera_tiling``; None for one of our own engines."""
        if not isinstance(self.network, DenseNetwork) or settings.runs_tiles:
            return None
        return make_camera_tiling(settings, self.network, grid, image_wh, input_wh)

    def composer(self, settings: PipelineSettings, grid: RegionGrid, image_wh: tuple[int, int],
                 tiling: Tiling | None) -> MaskComposer:
        """The masks, see ``composition.make_composer``."""
        if self.composer_factory is not None:
            return self.composer_factory(grid, image_wh)
        return make_composer(settings, grid, image_wh, tiling, self.static_masks.read)

    def level(self, settings: PipelineSettings) -> int | None:
        """Which thresholds the tile engine uses, see ``PipelineSettings.level``; masks of experiments count, too."""
        if settings.level is None and self.composer_factory is not None:
            return FINEST
        return settings.level

    def encoder(self, settings: PipelineSettings, input_wh: tuple[int, int]) -> Encoder | None:
        """The encoder of a sigma-delta network, with the thresholds of the settings; None for a dense network."""
        if isinstance(self.network, DenseNetwork):
            return None
        network = settings.network(self.network)
        return Encoder(network.input_table, network.encoder_threshold, input_wh)

    def interpreter(self, settings: PipelineSettings) -> Interpreter | DenseInterpreter:
        """Makes the interpreter of the network's kind.

        Args:
            settings: What the user chose.

        Returns:
            The interpreter. That of a dense network holds objects if there are masks.

        Raises:
            UserError: The network has no class of a name.
        """
        if isinstance(self.network, DenseNetwork):
            is_masked = bool(settings.active_sources) or self.composer_factory is not None
            return DenseInterpreter.of(settings, self.network, is_masked)
        return Interpreter.of(settings, self.network)


def input_shapes(composer: MaskComposer, tiling: Tiling) -> tuple[tuple[int, int], ...]:
    """The input shapes that a camera of a dense network uses.

    Args:
        composer: Its masks.
        tiling: Its windows.

    Returns:
        Width and height of each.
    """
    if not composer.sources:
        return (tiling.full_wh,)
    rolling = find_rolling(composer.sources)
    if rolling is None:
        return tiling.full_wh, tiling.tile_wh
    return tiling.tile_wh, tiling.small_wh, *([tiling.full_wh] if rolling.burst else [])
