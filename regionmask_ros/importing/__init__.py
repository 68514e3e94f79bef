"""Makes a dense network from an ONNX file: what its outputs mean, which input it expects, and which sizes it takes."""
