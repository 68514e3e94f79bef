"""The event engine: a sigma-delta convolutional network that works only where events arrive.

``arithmetic`` states the rules and ``twin`` computes them in plain NumPy. Two paths compute the same integers fast:
``portable_path`` with ``kernels`` on any processor, ``vector_path`` with ``vector_kernels`` where there are wide
vectors. ``event_engine`` chooses between them. This room imports NumPy and Numba only.
"""
