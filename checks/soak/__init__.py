"""Endurance: ``make soak``, or ``python -m checks.soak``.

Two parts. *Overload*: a camera sends images to the node at three times the rate that this machine can answer. *Long
truth*: the detector runs on a looped clip, and its state is compared with a reference implementation now and then. Each
prints one table of what was demanded and what was measured. See ``docs/RELIABILITY.md``.
"""
