"""Finding thresholds that save work without changing what is detected: unlabelled video in, a small file out."""
