"""From the head to detections, and which of them are reported."""
