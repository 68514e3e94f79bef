"""The set-up: from a fresh clone to a working ``.venv`` (``make setup``).

It runs on a stock Python, before anything is installed, so it imports the standard library only. ``__main__`` is the
entry, ``plan`` puts the steps together, every other module does one thing.
"""
