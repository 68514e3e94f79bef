"""From the ONNX model of a dense network to a graph of the tile engine and the tail behind it."""
