"""Heads of dense detectors: one module a family, each with ``find`` and ``decode``."""
