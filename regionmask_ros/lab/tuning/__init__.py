"""Search for firing thresholds that save work and keep the detections, on unlabeled video."""
