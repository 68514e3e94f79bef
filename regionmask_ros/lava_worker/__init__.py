"""What runs inside the interpreter that has Lava, and the bytes that go to and from it.

The pipeline's process never imports Lava. It starts ``start.py`` by its path, with an interpreter of its own that needs
NumPy, SciPy and lava-nc only, and talks to it through ``wire``. Everything in this room but ``wire`` and ``messages``
runs over there, so it imports the standard library, NumPy, Lava and this room.
"""
