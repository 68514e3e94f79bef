"""What was tried already, kept on disk: an interrupted search goes on where it was.

The search: multiply one threshold at a time, keep what is better; and now and then trade one against another.

Trials are expensive and their figures shake a little, so the search is greedy and takes few of them. It is decided by
its seed alone: with a journal of earlier trials it goes the same way again, and goes on from where it stopped.
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
from .trial import Outcome


class Journal:
    """Outcomes by thresholds, in a file that grows with every trial. question: everything that decides outcomes."""

    def __init__(self, path: Path, question: str) -> None:
        """Raises UserError when the file is no journal, or of another question."""
        self._path, self._question = path, question
        self._known: dict[str, Outcome] = {}
        if path.exists():
            self._read()

    def __len__(self) -> int:
        return len(self._known)

    def outcome(self, key: str, run: Callable[[], Outcome]) -> Outcome:
        """The outcome under that key; runs when it is not known yet."""
        if key not in self._known:
            self._known[key] = run()
            content = {"question": self._question, "trials": {k: o.as_json() for k, o in self._known.items()}}
            write_whole(self._path, (json.dumps(content, allow_nan=False) + "\n").encode())
        return self._known[key]

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)

    def _read(self) -> None:
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            question = content["question"]
            self._known = {key: Outcome.of_json(value) for key, value in content["trials"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise UserError(f"{self._path}: no journal of a search; take it away to begin anew") from error
        if question != self._question:
            raise UserError(f"{self._path}: a search with other options was interrupted here; finish that one, or take "
                            "the file away to begin anew")


def make_key(thresholds: Mapping[str, int]) -> str:
    return " ".join(map(str, thresholds.values()))


PENALTY = 1.0
"""What a point of disagreement beyond the bound costs: as much as 2.7 times the work."""
EXCHANGE = 0.01
"""What a point within the bound costs: of two vectors of nearly equal work the better one wins."""
STEPS = (1.5, 1.25, 1.12)
"""Factors of the rounds, from coarse to fine. A threshold changes by at least 1."""
TRADES = 6
"""Pairs that a round tries: one threshold up, another one down."""


@dataclass(frozen=True)
class Score:
    """log_cost: natural logarithm of the work. disagreement: in points. bound: up to which it may go."""

    log_cost: float
    disagreement: float
    bound: float

    @property
    def value(self) -> float:
        """Less is better."""
        return (self.log_cost + PENALTY * max(0.0, self.disagreement - self.bound) + EXCHANGE * self.disagreement)


Judge = Callable[[Mapping[str, int]], Score]


def search(start: Mapping[str, int], judge: Judge, rounds: int, rng: np.random.Generator) -> dict[str, int]:
    """The best vector found. start: thresholds by name. judge: tries one. rounds: each with the next of ``STEPS``, the
    last of them for all that follow.
    """
    best, score = dict(start), judge(start)
    for number in range(rounds):
        step = STEPS[min(number, len(STEPS) - 1)]
        for candidate in _round(tuple(start), step, rng):
            changed = candidate(best)
            if changed == best:
                continue
            tried = judge(changed)
            if tried.value < score.value:
                best, score = changed, tried
    return best


def count_trials(layers: int, rounds: int) -> int:
    """How many vectors a search tries at most."""
    return 1 + rounds * (2 * layers + TRADES)


Change = Callable[[Mapping[str, int]], "dict[str, int]"]


def _round(names: Sequence[str], step: float, rng: np.random.Generator) -> Iterator[Change]:
    """Every threshold up and down, in random order, and some trades."""
    singles = [((name, factor),) for name in names for factor in (step, 1.0 / step)]
    pairs = [rng.choice(len(names), 2, replace=False) for _ in range(TRADES)]
    trades = [((names[up], step), (names[down], 1.0 / step)) for up, down in pairs]
    moves = singles + trades
    for place in rng.permutation(len(moves)):
        yield lambda best, move=moves[place]: _scaled(best, move)


def _scaled(thresholds: Mapping[str, int], move: Sequence[tuple[str, float]]) -> dict[str, int]:
    changed = dict(thresholds)
    for name, factor in move:
        value = changed[name]
        moved = math.ceil(value * factor - 1e-9) if factor > 1.0 else math.floor(value * factor + 1e-9)
        changed[name] = int(min(max(moved, 1), LARGEST))
    return changed
