"""Compiles the kernels and keeps them on disk, so that the first start is quick.

Run it as ``python -m regionmask_ros.pipeline.warmup``.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import cv2
import numpy as np

from ..core.arithmetic import CARRY
from ..core.grid import RegionGrid, is_observed
from ..core.look import Look, LookOutput
from ..core.result import RegionMask
from ..detection.heads import decode_looks
from ..detection.yolo import decode
from ..encoder.encoder import Encoder
from ..engine.branched.engine import BranchedEngine, PackedBranches
from ..engine.branched.operators import Concat, MaxPool
from ..engine.engine import EventEngine, PackedNetwork, available_kernel_sets, description
from ..jit.compilation import ABOUT, count_compilations
from ..mask.heat import HeatMap
from ..mask.mgnet.light import LightNetwork
from ..mask.mgnet.weights import load_weights
from ..mask.region_age import initial_age, update_age
from ..mask.source import MaskContext
from ..mask.tile_schedule import RollingRefresh, TileSchedule
from ..network.chain import IMAGE, ConvSpec, YoloHead
from ..network.dense import HeadSpec
from ..network.formats.lava_dl import input_table
from ..network.graph import Graph, Node
from ..network.thresholds import bundled_thresholds
from ..sources.pictures.progressive import find_band_damage
from ..tracking.held import HeldObjects, hold_objects
from ..tracking.motion import UNKNOWN, OpticalFlow, downsample, share_changed
from ..tracking.tracker import Tracks, update_reach, update_tracks

CHANNELS = (16, 32, 64, 128, 256)
"""Layers with as many output channels as YOLO-KP's: each needs kernels of its own."""

_CLASSES = 255


@dataclass(frozen=True)
class _Layers:
    layers: tuple[ConvSpec, ...]


def compile_kernels() -> None:
    """Runs every kernel of the fastest kernel set once, on small layers with the types of real ones."""
    track_an_object()
    hold_an_object()
    check_a_progressive_image()
    run_branches()
    side, inputs, layers = 32, 3, []
    for channels in CHANNELS:
        weight = np.ones((channels, inputs, 3, 3), np.int32)
        layers.append(ConvSpec(f"c{channels}", weight, np.zeros(channels, np.int32), 2, 1, 6))
        inputs = channels
    layers.append(ConvSpec("point", np.ones((inputs, inputs, 1, 1), np.int32), np.zeros(inputs, np.int32), 1, 0, 6))
    layers.append(ConvSpec("head", np.ones((_CLASSES, inputs, 1, 1), np.int32), None, 1, 0, 0))
    packed, image = PackedNetwork(_Layers(tuple(layers))), np.full((side, side, 3), 200, np.uint8)
    for table in (np.arange(768).reshape(256, 3) ** 2 % 97, input_table()):
        encoder = Encoder(table, 6, (side, side))
        events = encoder.step(image, np.ones((2, 2), bool))
        change = encoder.measure_change(image)
    # An image of any size will do: the network downsamples it.
    LightNetwork(load_weights().arrays, (side, side)).run(image, change)
    # Each arithmetic has kernels of its own: the default, and the one of the tuned thresholds.
    for arithmetic in dict.fromkeys((CARRY, bundled_thresholds().arithmetic)):
        engine = EventEngine(packed, (side, side), arithmetic)
        engine.step_changes(events.changes)
        engine.step(events.index, events.message)
        engine.step_changes(events.changes)
        # Messages beyond 16 bits have a kernel of their own.
        engine.step(events.index, np.full(len(events), 1 << 16, np.int32))


def run_branches() -> None:
    """Runs the kernels of networks with branches once."""
    one = np.ones((4, 1, 3, 3), np.int32)
    nodes = (Node("each", ConvSpec("each", one, np.zeros(4, np.int32), 1, 1, 1, groups=4), (IMAGE,)),
             Node("pool", MaxPool(3, 1, 1, 1), ("each",)), Node("both", Concat(), ("each", "pool")),
             Node("head", ConvSpec("head", np.ones((1, 8, 1, 1), np.int32), None, 1, 0, 0), ("both",)))
    engine = BranchedEngine(PackedBranches(Graph(IMAGE, 4, nodes, ("head",))), (8, 8))
    engine.step(np.arange(8, dtype=np.int32), np.full(8, 96, np.int32))


def track_an_object() -> None:
    """Runs the kernels between a head and the next mask: with a box that is detected, and not observed afterwards."""
    grid, image_wh = RegionGrid(6, 6), (96, 96)
    image = np.zeros((*image_wh, 3), np.uint8)
    images = [downsample(image)]
    # Some sources give read-only images, which are another type to Numba.
    image.flags.writeable = False
    images.append(downsample(image))
    found = decode(np.zeros((1, 1, 6), np.int32), YoloHead(((0.3, 0.6),), 1, 0.0), image_wh, 0.0, 0.5)
    keep = grid.cover(np.array([80, 80, 90, 90]), image_wh)
    tracks = Tracks.none()
    for frame in range(2):
        tracks, _ = update_tracks(tracks, found, keep, image_wh, frame, OpticalFlow(images[0], images[1]))
    tracks.extrapolate(frame)
    tracks.displacement(frame)
    update_age(initial_age(grid), keep)
    grid.spans(found.boxes, image_wh)
    HeatMap(grid, image_wh).add(found.boxes)


def hold_an_object() -> None:
    """Runs the kernels around a dense network: with a box that is detected, and not looked at afterwards."""
    image_wh, grid = (96, 96), RegionGrid(6, 6)
    look = Look((0.0, 0.0, 96.0, 96.0), image_wh)
    rows, keep = np.full((1, 189, 6), 0.5, np.float32), grid.full(True)
    head = HeadSpec("yolox", 1, ("",), (8, 16, 32), {"raw": 1.0})
    decoded = decode_looks([LookOutput(look, (rows,))], head, image_wh, 0.2, 0.5)
    held, image, blocks = HeldObjects(), downsample(np.zeros((*image_wh, 3), np.uint8)), RollingRefresh(TileSchedule(0))
    for frame in range(3):
        before = held.tracks
        looks = decoded.looks if frame < 2 else ()
        held, shown = hold_objects(held, decoded.found, decoded.cut, looks, keep, image_wh, 1.0, frame,
                                   OpticalFlow(image, image))
        update_reach(UNKNOWN, before, held.tracks)
        mask = RegionMask(keep, {}, False)
        blocks.propose(MaskContext(shown, grid, image_wh, frame, since_refresh=frame))
        blocks.count(mask)
        is_observed(shown.boxes, keep, image_wh)
    share_changed(image, image, grid.shape)
    update_age(initial_age(grid), keep)
    HeatMap(grid, image_wh).add(shown.boxes)


def check_a_progressive_image() -> None:
    """Runs the kernels that find damage in progressive JPEG images."""
    image = np.eye(32, dtype=np.uint8) * 255
    find_band_damage(bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1]))


def main() -> None:
    """Compiles all kernels, prints after each how many there are so far, and at the end how long it took."""
    start = time.perf_counter()
    with count_compilations(lambda count: print(f"[{count}/{max(count, ABOUT)}] kernels compiled", flush=True)):
        compile_kernels()
    elapsed = time.perf_counter() - start
    print(f"kernels ready after {elapsed:.1f} s ({description(available_kernel_sets()[0])})", flush=True)


if __name__ == "__main__":
    main()
