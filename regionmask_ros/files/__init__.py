"""Files that may come from anybody: read within limits, never executed."""
