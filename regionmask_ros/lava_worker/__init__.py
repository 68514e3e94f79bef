"""The worker process that runs Lava in an interpreter of its own, and the protocol between it and the pipeline.

The pipeline's process never imports Lava. It starts ``start.py`` by its path, with an interpreter that has only NumPy,
SciPy and lava-nc, and exchanges messages with it over a socket (``protocol``). The modules here therefore import only
the standard library, NumPy, Lava and each other.
"""
