"""A greedy search for thresholds: change one or two of them, keep what is better.

Trials are expensive and their figures vary a little, so the search takes few of them. Its seed decides all of it: with
a journal of earlier trials, an interrupted search takes the same way again and continues where it stopped.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import UserError
from ...files.outputs import write_whole
from ...network.thresholds import LARGEST
from .trial import TrialResult

PENALTY = 1.0
"""Cost of a point of disagreement beyond the bound: as much as 2.7 times the work."""

EXCHANGE = 0.01
"""Cost of a point within the bound: of two sets of thresholds with nearly equal work, the more accurate one wins."""

STEPS = (1.5, 1.25, 1.12)
"""Factors of the rounds. A threshold changes by at least 1."""

TRADES = 6
"""Pairs that a round tries: one threshold up, another one down."""

Move = Sequence[tuple[str, float]]
"""Names of thresholds and the factor of each."""


@dataclass(frozen=True)
class Score:
    """What the search minimizes.

    Attributes:
        log_cost: Natural logarithm of the work.
        disagreement: With the dense network, in points of average precision.
        bound: Highest disagreement that is acceptable.
    """

    log_cost: float
    disagreement: float
    bound: float

    @property
    def value(self) -> float:
        """The smaller, the better."""
        return (self.log_cost + PENALTY * max(0.0, self.disagreement - self.bound) + EXCHANGE * self.disagreement)


def search(start: Mapping[str, int], evaluate: Callable[[Mapping[str, int]], Score], rounds: int,
           rng: np.random.Generator) -> dict[str, int]:
    """Searches for better thresholds.

    Args:
        start: Thresholds by name, in 1/64.
        evaluate: Runs a trial with thresholds.
        rounds: Each takes the next of ``STEPS``; all further ones take the last of them.
        rng: Draws the order of the trials and the pairs.

    Returns:
        The best thresholds found.
    """
    best, score = dict(start), evaluate(start)
    for number in range(rounds):
        for move in _draw_moves(tuple(start), STEPS[min(number, len(STEPS) - 1)], rng):
            changed = _scale(best, move)
            if changed == best:
                continue
            tried = evaluate(changed)
            if tried.value < score.value:
                best, score = changed, tried
    return best


def count_trials(layers: int, rounds: int) -> int:
    """The largest number of trials of a search."""
    return 1 + rounds * (2 * layers + TRADES)


def _draw_moves(names: Sequence[str], step: float, rng: np.random.Generator) -> Iterator[Move]:
    """Each threshold up and down, and some trades, in random order."""
    singles = [((name, factor),) for name in names for factor in (step, 1.0 / step)]
    pairs = [rng.choice(len(names), 2, replace=False) for _ in range(TRADES)]
    trades = [((names[up], step), (names[down], 1.0 / step)) for up, down in pairs]
    moves: list[Move] = [*singles, *trades]
    for index in rng.permutation(len(moves)):
        yield moves[index]


def _scale(thresholds: Mapping[str, int], move: Move) -> dict[str, int]:
    changed = dict(thresholds)
    for name, factor in move:
        value = changed[name]
        moved = math.ceil(value * factor - 1e-9) if factor > 1.0 else math.floor(value * factor + 1e-9)
        changed[name] = int(min(max(moved, 1), LARGEST))
    return changed


def make_key(thresholds: Mapping[str, int]) -> str:
    """Key of thresholds in a journal."""
    return " ".join(map(str, thresholds.values()))


class Journal:
    """Results of trials by thresholds, in a file that grows with every trial.

    Args:
        path: The file; it need not exist.
        question: Everything that the results depend on.

    Raises:
        UserError: The file is no journal, or one with another question.
    """

    def __init__(self, path: Path, question: str) -> None:
        self._path, self._question = path, question
        self._known: dict[str, TrialResult] = {}
        if path.exists():
            self._read()

    def __len__(self) -> int:
        return len(self._known)

    def result(self, key: str, run: Callable[[], TrialResult]) -> TrialResult:
        """The result under that key. Runs the trial when it is not known yet."""
        if key not in self._known:
            self._known[key] = run()
            content = {"question": self._question, "trials": {k: r.as_json() for k, r in self._known.items()}}
            write_whole(self._path, (json.dumps(content, allow_nan=False) + "\n").encode())
        return self._known[key]

    def remove(self) -> None:
        """Deletes the file."""
        self._path.unlink(missing_ok=True)

    def _read(self) -> None:
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            question = content["question"]
            self._known = {key: TrialResult.of_json(value) for key, value in content["trials"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise UserError(f"{self._path}: not the journal of a search; delete the file to start again") from error
        if question != self._question:
            raise UserError(f"{self._path}: a search with other options was interrupted here; finish that one, or "
                            "delete the file to start again")
