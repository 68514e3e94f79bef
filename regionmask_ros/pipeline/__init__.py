"""The pipeline of one camera, from frames to detections."""
