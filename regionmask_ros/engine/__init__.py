"""The event engine: a sigma-delta convolutional network that works only where events arrive.

``arithmetic`` states the rules, ``twin`` computes them in plain NumPy, ``kernels`` computes the same integers fast,
``event_engine`` puts the kernels together. This room imports NumPy and Numba only.
"""
