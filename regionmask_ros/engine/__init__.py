"""The event engine: sigma-delta layers in exact integers, with work only where events arrive.

Read ``arithmetic`` and ``reference_network`` first: they are the whole network in a page of NumPy. Everything else computes the same
integers, faster:

- ``encoding`` makes the encoder's events, ``change_map`` holds them; ``packing`` checks weights and says what a path
  must offer; ``event_engine`` chooses a path and holds a camera's state.
- ``kernels``, ``portable_path``: every event adds its weights to what it reaches. Runs everywhere. ``wide``: messages
  beyond 16 bits, for the paths below.
- ``vector_*``: lists of events, gathered by the outputs that they reach, or dense windows where ``plan`` has measured
  that these cost less. For AVX2, AVX-512 and ARM.
- ``tile_*``: dense blocks of messages, multiplied where something fired. For Intel AMX.

In each path ``*_path`` holds state and order of work, ``*_kernels`` the loops, ``*_fire`` the neurons, ``*_ir`` the
instructions that a compiler does not find by itself.
"""
