"""ONNX files: read within limits, checked, and brought into the form that the backends expect."""
