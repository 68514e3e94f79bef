"""What a run leaves behind: detections as CSV, an annotated video, raw heads, and one HTML page."""
