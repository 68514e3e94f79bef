"""Files: their names, outputs that appear complete or not at all, and input that is read within limits."""
