"""Heads of dense detectors: one module a family, each with ``find`` and ``decode``."""

from __future__ import annotations

from .finding import HEADS, find_head
from .looks import LookDetections, decode_looks

__all__ = ["HEADS", "LookDetections", "decode_looks", "find_head"]
