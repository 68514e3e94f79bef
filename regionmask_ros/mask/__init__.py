"""Masks: which regions of each frame are observed."""
