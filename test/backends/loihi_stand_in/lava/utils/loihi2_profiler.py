"""Profilers: callbacks of a run configuration. Their figures exist only after a run."""

from __future__ import annotations

import numpy as np
from stand_in_checks import need, need_type

__all__ = ["Loihi2Activity", "Loihi2ExecutionTime", "Loihi2Power"]


class _Profiler:
    def __init__(self) -> None:
        self._figures = None

    def pre_run_callback(self, board, var_id_to_var_model_map) -> None:
        need_type(var_id_to_var_model_map, dict, "pre_run_callback: map")
        self._figures = None

    def post_run_callback(self, board, var_id_to_var_model_map) -> None:
        self._figures = self._measure(board)

    def __getattr__(self, name: str):
        figures = self.__dict__.get("_figures")
        need(figures is not None, f"{type(self).__name__}.{name}: there has been no run yet")
        need(name in figures, f"{type(self).__name__} has no figure {name}")
        return figures[name]


class Loihi2Power(_Profiler):
    """Power in watts, one value per step."""

    def __init__(self, *, num_steps: int) -> None:
        need_type(num_steps, int, "Loihi2Power: num_steps")
        super().__init__()
        self._num_steps = num_steps

    def _measure(self, board) -> dict:
        need(board.steps_of_run == self._num_steps, f"Loihi2Power: {self._num_steps} steps, {board.steps_of_run} ran")
        return {"total_power": np.full(self._num_steps, 1.5), "static_total_power": 1.25}


class Loihi2ExecutionTime(_Profiler):
    """Times in microseconds."""

    def _measure(self, board) -> dict:
        return {"avg_time_per_step": 200.0}


class Loihi2Activity(_Profiler):
    """Sums over the run, one entry per core."""

    def _measure(self, board) -> dict:
        return {
            "chip_idx": np.array([0, 0, 1]), "core_idx": np.array([0, 1, 0]),
            "syn_ops": np.array([100, 200, 300]) * board.steps_of_run,
            "dendrite_updates": np.array([10, 20, 30]) * board.steps_of_run,
        }
