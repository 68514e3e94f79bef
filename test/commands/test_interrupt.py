"""Ctrl-C ends a command wherever it arrives."""

from __future__ import annotations

import signal
import weakref

from regionmask_ros.commands._cli import EXIT_INTERRUPTED, run_guarded


class Thing:
    """Something that can be referred to weakly."""


def test_an_interrupt_inside_a_callback_of_the_garbage_collector_is_not_lost(capsys):
    def work() -> int:
        thing = Thing()
        reference = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGINT))
        del thing
        assert reference() is None
        while True:
            signal.pause()  # Until the interrupt comes.

    assert run_guarded(work) == EXIT_INTERRUPTED
    assert capsys.readouterr().err == "regionmask_ros: interrupted\n"
