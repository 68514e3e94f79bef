"""Fuzzers for everything that reads foreign data: ``make fuzz``, or ``python -m checks.fuzz``.

Each case is made from a seed, a kind and a number, and is read by the real reader in a child process with limits. A
reader must accept a case or refuse it with a ``UserError`` of one line. See ``docs/RELIABILITY.md``.
"""
