"""What the backends of dense networks have in common."""

from __future__ import annotations

from .runtimes import run_once

__all__ = ["run_once"]
