"""Video files."""

from __future__ import annotations

from .file import VideoFile

__all__ = ["VideoFile"]
