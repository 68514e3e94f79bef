"""Random graphs of all operators of the tile engine, and random videos for them."""

import numpy as np

from regionmask_ros.network.graph import Graph, Node
from regionmask_ros.tiles.evaluation import evaluate_graph
from regionmask_ros.tiles.network import TileNetwork, quantize_graph
from regionmask_ros.tiles.operators.activations import Activation, Kind
from regionmask_ros.tiles.operators.convolution import Convolution
from regionmask_ros.tiles.operators.elementwise import Activate, Add, Multiply
from regionmask_ros.tiles.operators.geometry import Window
from regionmask_ros.tiles.operators.pooling import AveragePool, MaxPool
from regionmask_ros.tiles.operators.quantized import Quantization
from regionmask_ros.tiles.operators.resizing import Resize
from regionmask_ros.tiles.operators.routing import ChannelSelect, Concat, SpaceToDepth

PIXELS = Quantization.of_pixels(np.array([103.53, 0.0, 128.0]), np.array([57.0, 1.0, 200.0]))


class GraphMaker:
    """Adds random nodes.

    Args:
        seed: Of the random numbers.
        input_wh: Width and height of the images.
        width: Multiplies the channels.
    """

    def __init__(self, seed, input_wh, width=1):
        self.width = width
        self.random = np.random.default_rng(seed)
        self.input_wh = input_wh
        self.nodes = []
        self.shapes = {"image": (input_wh[1], input_wh[0], 3)}
        self.strides = {"image": 1}

    def choose(self, choices):
        return choices[self.random.integers(len(choices))]

    def add(self, operator, inputs, parameters=None):
        """Adds a node if it fits; returns whether."""
        shapes = [self.shapes[name] for name in inputs]
        try:
            shape = operator.output_shape(shapes, parameters or {})
            stride = operator.output_stride([self.strides[name] for name in inputs])
        except ValueError:
            return False
        if stride not in (1, 2, 4, 8, 16, 32, 64) or shape[2] > 60 * self.width or shape[0] * shape[1] > 6000:
            return False
        name = f"{len(self.nodes)} {type(operator).__name__}"
        self.nodes.append(Node(name, operator, tuple(inputs), parameters or {}))
        self.shapes[name], self.strides[name] = shape, stride
        return True

    def window(self, limit):
        kernel = tuple(int(side) for side in self.random.integers(1, limit + 1, 2))
        pads = tuple(int(self.random.integers(0, kernel[place % 2])) for place in range(4))
        return Window(kernel, self.choose([1, 1, 2]), pads)

    def activation(self):
        return Activation(self.choose(list(Kind)), 0.2, 0.5)

    def convolve(self, source, is_head=False):
        channels = self.shapes[source][2]
        groups = self.choose([group for group in (1, 1, 2, 3, channels) if channels % group == 0])
        outputs = channels if groups == channels else groups * int(self.choose([1, 2, 3, 5, 8, 16])) * self.width
        window = self.window(4)
        weight = self.random.normal(size=(outputs, *window.kernel, channels // groups)).astype(np.float32)
        bias = self.random.normal(size=outputs).astype(np.float32)
        return self.add(Convolution(window, groups, self.activation(), is_head), [source],
                        {"weight": weight, "bias": bias})

    def add_any(self):
        """Adds a node of a random kind that reads recent tensors."""
        source = self.choose(list(self.shapes)[-5:])
        channels = self.shapes[source][2]
        alike = [name for name in self.shapes if self.strides[name] == self.strides[source]
                 and self.shapes[name][:2] == self.shapes[source][:2]]
        same = [name for name in alike if self.shapes[name] == self.shapes[source]]
        kind = self.random.integers(13)
        if kind < 4:
            return self.convolve(source)
        if kind == 4:
            return self.add(self.choose([Add, Multiply])(self.activation()), [source, self.choose(same)])
        if kind == 5:
            values = self.random.normal(size=(2, channels)).astype(np.float32)
            return self.add(Activate(self.activation()), [source], {"factor": values[0], "addend": values[1]})
        if kind == 6:
            return self.add(MaxPool(self.window(5)), [source])
        if kind == 7:
            return self.add(AveragePool(self.window(3), self.choose([True, False])), [source])
        if kind == 8:
            factor, is_linear = self.choose([(2, True), (2, False), (4, False)])
            return self.add(Resize(factor, is_linear), [source])
        if kind == 9:
            return self.add(ChannelSelect(tuple(int(c) for c in self.random.permutation(channels))), [source])
        if kind == 10:
            first = int(self.random.integers(channels))
            end = int(self.random.integers(first + 1, channels + 1))
            return self.add(ChannelSelect(tuple(range(first, end))), [source])
        if kind == 11:
            return self.add(SpaceToDepth(), [source])
        return self.add(Concat(), [source, *(self.choose(alike) for _ in range(self.random.integers(1, 3)))])


def make_network(seed, input_wh, nodes=10, heads=2, width=1):
    """Makes a quantized network of random operators.

    Args:
        seed: Of the random numbers.
        input_wh: Width and height of the images.
        nodes: How many operators.
        heads: How many heads.
        width: Multiplies the channels of convolutions.

    Returns:
        The network; its convolutions have threshold factors of 0.2 to 3.
    """
    maker = GraphMaker(seed, input_wh, width)
    while len(maker.nodes) < nodes:
        maker.add_any()
    outputs = []
    body = list(maker.shapes)[1:]
    while len(outputs) < heads:
        if maker.convolve(maker.choose(body), is_head=True):
            outputs.append(maker.nodes[-1].name)
    graph = Graph("image", 3, tuple(maker.nodes), tuple(outputs))
    picture = maker.random.integers(0, 256, (input_wh[1], input_wh[0], 3), np.uint8)
    found = evaluate_graph(graph, PIXELS.dequantize(picture))
    ranges = {name: Quantization.of_range(values.min((0, 1)), values.max((0, 1))) for name, values in found.items()}
    network = quantize_graph(graph, PIXELS, ranges)
    factors = {node.name: float(maker.random.uniform(0.2, 3)) for node in graph.nodes
               if isinstance(node.operator, Convolution) and not node.operator.is_head}
    return TileNetwork(network.graph, network.quantizations, factors)


def make_video(seed, input_wh, frames):
    """Makes images in which some rectangles change, by little or by much, and some frames do not change at all.

    Args:
        seed: Of the random numbers.
        input_wh: Width and height of the images.
        frames: How many.

    Returns:
        The images.
    """
    random = np.random.default_rng(seed)
    width, height = input_wh
    image = random.integers(0, 256, (height, width, 3)).astype(np.int16)
    images = [image.astype(np.uint8)]
    while len(images) < frames:
        if random.random() < 0.8:
            y, x = random.integers(height), random.integers(width)
            part = image[y:y + random.integers(1, 40), x:x + random.integers(1, 40)]
            strength = int(random.choice([1, 4, 100]))
            part[:] = np.clip(part + random.integers(-strength, strength + 1, part.shape), 0, 255)
        images.append(image.astype(np.uint8))
    return images
