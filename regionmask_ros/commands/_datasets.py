"""What commands with labeled data sets share: opening them, and saying what of them is not used."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..datasets import has_coco, open_dataset, read_labels
from ..datasets.bag import ONLY_TOPICS, BagTopics
from ..datasets.labels import LabelledSequence, Labels
from ..errors import MISSING, UserError
from ..sources import Reading
from ._parser import print_note


def open_datasets(specs: Sequence[str], images: str = "", topics: BagTopics = ONLY_TOPICS,
                  reading: Reading | None = None) -> list[LabelledSequence]:
    """Opens labeled sequences, and prints what of them is not used. Missing images count as dropped ones.

    Args:
        specs: Each ``KIND:PATH``.
        images: The value of ``--images``.
        topics: Topics in bags.
        reading: How images are read; None: as by default.

    Returns:
        The sequences.

    Raises:
        UserError: A data set cannot be used, or ``--images`` is given for none in COCO's format.
    """
    if images and not has_coco(specs):
        raise UserError("--images: only for data sets coco:FILE, but there is none")
    sequences = [sequence for spec in dict.fromkeys(specs) for sequence in open_dataset(spec, topics, images, reading)]
    print_notes(note for sequence in sequences for note in sequence.notes)
    if reading is not None:
        for place in (place for sequence in sequences for place in sequence.missing):
            reading.dropped.add(UserError(f"{place}: there is no such image", MISSING), place)
    return sequences


def read_all_labels(specs: Sequence[str], topics: BagTopics = ONLY_TOPICS, reading: Reading | None = None
                    ) -> list[Labels]:
    """Reads labels without their images, and prints what of them is not used.

    Args:
        specs: Each ``KIND:PATH``.
        topics: Topics in bags.
        reading: How images are read; None: as by default.

    Returns:
        The labels.

    Raises:
        UserError: A file is missing or damaged.
    """
    read = [read_labels(spec, topics, reading) for spec in specs]
    print_notes(note for labels in read for note in labels.notes)
    return read


def print_notes(notes: Iterable[str]) -> None:
    """Prints notes on labels, each once."""
    for note in dict.fromkeys(notes):
        print_note(note)
