"""What can be wrong with a series; its text is the whole message."""

from __future__ import annotations

__all__ = ["SeriesError"]


class SeriesError(ValueError):
    """Something about the data or the file that its owner can put right."""
