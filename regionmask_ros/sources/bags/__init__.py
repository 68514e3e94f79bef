"""Bags, file by file: where their files are, what is in them, and what metadata.yaml promises."""
