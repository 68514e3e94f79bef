"""Opens the source of a unit, wherever it lies."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ..errors import UserError
from ..sources import Reading, Source, open_source
from .addresses import fetched
from .units import Unit


@contextlib.contextmanager
def opened(unit: Unit, topic: str, reading: Reading, only_compressed: bool = False) -> Iterator[Source]:
    """Opens a unit's source for the block; one behind an address is copied before, and removed afterwards.

    Args:
        unit: The unit.
        topic: Image topic of a bag.
        reading: How images are read.
        only_compressed: Whether a camera's compressed images are chosen instead of its raw ones.

    Yields:
        The source.

    Raises:
        UserError: It cannot be used; the message has the path or address that the user gave.
    """
    path = unit.place.path
    with fetched(path) as local:
        try:
            source = open_source(local, topic, only_compressed=only_compressed, reading=reading)
        except UserError as error:
            # A temporary copy means nothing to the user.
            raise UserError(str(error).replace(local, path), error.reason) from error
        with source:
            yield source
