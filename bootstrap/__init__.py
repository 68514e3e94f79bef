"""Sets the project up: from a fresh clone to a working ``.venv`` (``make setup``).

It runs on any Python 3.10 to 3.13 before anything is installed, so it imports the standard library only, and modules of
the package that do likewise. ``__main__`` is the entry point, ``plan`` puts the steps together, and every other module
does one thing.
"""
