"""Search for firing thresholds that save work and keep the detections, on unlabelled video."""
