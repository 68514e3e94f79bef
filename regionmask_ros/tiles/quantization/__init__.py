"""From a float graph to a quantized network: ranges, bias correction, thresholds, files."""
