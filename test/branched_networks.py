"""Random branched networks for tests, and what is compared on them."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from regionmask_ros.engine.branched.operators import Add, ChannelRange, Concat, Enlarge, MaxPool
from regionmask_ros.network.branched import BranchedNetwork, HeadPart, LevelsHead, branch
from regionmask_ros.network.chain import IMAGE, ConvSpec
from regionmask_ros.network.dense import HeadSpec
from regionmask_ros.network.graph import Graph, Node

MOST_PIXELS, MOST_CHANNELS = 400, 24


def random_conv(rng: np.random.Generator, draw, name: str, channels: int, is_head: bool = False) -> ConvSpec:
    """A convolution of a tensor with that many channels."""
    size = draw(st.integers(1, 3))
    groups = draw(st.sampled_from([n for n in range(1, channels + 1) if channels % n == 0]))
    outputs = groups * draw(st.integers(1, max(1, MOST_CHANNELS // groups // 2)))
    limit = draw(st.sampled_from([4, 60, 127]))
    weight = rng.integers(-limit, limit + 1, (outputs, channels // groups, size, size)).astype(np.int32)
    bias = None if is_head else rng.integers(-256, 255, outputs).astype(np.int32)
    return ConvSpec(name, weight, bias, draw(st.integers(1, 2)), draw(st.integers(0, size - 1)),
                    draw(st.sampled_from([1, 6, 40])), draw(st.sampled_from([0, 5, 6, 9])), groups)


@st.composite
def random_graphs(draw):
    """(graph, input width and height, rng): some nodes of all kinds, and one to three heads."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    width, height, channels = draw(st.integers(4, 12)), draw(st.integers(4, 12)), draw(st.integers(1, 4))
    nodes: list[Node] = []
    shapes = {"image": (height, width, channels)}

    def add(operator, inputs: list[str]) -> None:
        name = getattr(operator, "name", f"n{len(nodes)}")
        shape = operator.output_shape([shapes[one] for one in inputs], {})
        if shape[0] * shape[1] <= MOST_PIXELS and shape[2] <= MOST_CHANNELS:
            nodes.append(Node(name, operator, tuple(inputs)))
            shapes[name] = shape

    for number in range(draw(st.integers(1, 8))):
        # Mostly the newest tensors, so that networks are deep.
        source = list(shapes)[-draw(st.integers(1, min(3, len(shapes))))]
        rows, cols, depth = shapes[source]
        kind = draw(st.sampled_from(["conv", "conv", "pool", "concat", "range", "enlarge", "add"]))
        if kind == "conv" and min(rows, cols) >= 3:
            add(random_conv(rng, draw, f"c{number}", depth), [source])
        elif kind == "pool" and min(rows, cols) >= 3:
            size = draw(st.integers(1, 3))
            add(MaxPool(size, draw(st.integers(1, 2)), draw(st.integers(0, size - 1)), draw(st.sampled_from([1, 9]))),
                [source])
        elif kind == "concat":
            others = [name for name, shape in shapes.items() if shape[:2] == (rows, cols)]
            add(Concat(), [source, *draw(st.lists(st.sampled_from(others), min_size=1, max_size=2))])
        elif kind == "range":
            first = draw(st.integers(0, depth - 1))
            add(ChannelRange(first, draw(st.integers(first + 1, depth))), [source])
        elif kind == "enlarge":
            add(Enlarge(draw(st.integers(2, 3))), [source])
        elif kind == "add":
            others = [name for name, shape in shapes.items() if shape == shapes[source]]
            add(Add(), [source, *draw(st.lists(st.sampled_from(others), min_size=1, max_size=2))])
    heads = []
    for number in range(draw(st.integers(1, 3))):
        source = draw(st.sampled_from([name for name, shape in shapes.items() if min(shape[:2]) >= 3
                                       and name not in heads]))
        spec = random_conv(rng, draw, f"head{number}", shapes[source][2], is_head=True)
        nodes.append(Node(spec.name, spec, (source,)))
        heads.append(spec.name)
    return Graph("image", channels, tuple(nodes), tuple(draw(st.permutations(heads)))), (width, height), rng


CLASSES = ("square", "disc")
STRIDES = (8, 16)


def small_branched(seed: int = 11) -> BranchedNetwork:
    """All kinds of nodes, and heads at two strides as of YOLOX; some objectness is always high."""
    rng = np.random.default_rng(seed)

    def conv(name: str, source: str, inputs: int, outputs: int, size: int = 3, stride: int = 1, groups: int = 1,
             is_head: bool = False) -> Node:
        weight = rng.integers(-24, 25, (outputs, inputs // groups, size, size)).astype(np.int32)
        bias = None if is_head else rng.integers(-20, 60, outputs).astype(np.int32)
        return Node(name, ConvSpec(name, weight, bias, stride, size // 2, 6, groups=groups), (source,))

    nodes = [
        conv("at2", IMAGE, 3, 8, stride=2), conv("at4", "at2", 8, 8, stride=2, groups=8),
        conv("at8", "at4", 8, 12, stride=2), conv("more", "at8", 12, 12, size=1),
        Node("sum", Add(), ("at8", "more")), conv("at16", "sum", 12, 12, stride=2),
        Node("pool", MaxPool(5, 1, 2, 3), ("at16",)), Node("half", ChannelRange(3, 9), ("pool",)),
        Node("large", Enlarge(2), ("half",)), Node("both", Concat(), ("large", "sum"))]
    levels = []
    for stride, source, inputs in zip(STRIDES, ("both", "at16"), (18, 12)):
        parts = []
        for kind, count in (("box", 4), ("object", 1), ("class", len(CLASSES))):
            nodes.append(conv(f"{kind}{stride}", source, inputs, count, size=1, is_head=True))
            parts.append(HeadPart(nodes[-1].name, 16, (0.25,) * count, kind != "box"))
        levels.append(tuple(parts))
    table = (np.arange(256, dtype=np.int32) - 128)[:, None].repeat(3, axis=1)
    spec = HeadSpec("yolox", len(CLASSES), ("output",), STRIDES, {"raw": 1.0})
    return branch(nodes, name="branched", head=LevelsHead(spec, tuple(levels)), labels=CLASSES, input_table=table,
                  encoder_threshold=6)
