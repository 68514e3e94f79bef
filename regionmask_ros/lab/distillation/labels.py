"""How sure a label must be."""

from __future__ import annotations

SURE, UNSURE = 0.38, 0.12
"""A label with the first score or more is an object; one between both is neither object nor background."""
