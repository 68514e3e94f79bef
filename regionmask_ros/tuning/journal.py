"""What was tried already, kept on disk: an interrupted search goes on where it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Callable, Mapping

from ..errors import UserError
from ..whole_file import write_whole
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


def key_of(thresholds: Mapping[str, int]) -> str:
    return " ".join(map(str, thresholds.values()))
