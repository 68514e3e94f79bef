"""The operators of the tile engine, one class each."""
