"""Masks: which regions of each frame are sent."""
