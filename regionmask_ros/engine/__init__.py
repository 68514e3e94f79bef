"""The event engine: sigma-delta layers in exact integers, with work only where events arrive.

Read ``core.arithmetic`` (number formats and rules) and ``reference`` first: they are the whole network in a page of
NumPy. Everything else computes the same integers, faster:

- ``engine`` chooses a kernel set and holds the state of one camera; ``layer`` checks weights and says what a kernel set
  must offer.
- ``generic``: every event adds its weights to the outputs that it reaches. Runs on any processor; the name of this
  kernel set is ``portable``. It also sums the part of a message beyond 16 bits for the others.
- ``simd``: lists of events, gathered by the outputs that they reach, or dense windows where these are cheaper
  (``simd.crossover``). For AVX2, AVX-512 and ARM's dot product.
- ``amx``: dense blocks of messages, multiplied as matrix tiles where a neuron fired. For Intel AMX.

``branched`` does the same for networks whose layers are no chain.

In each kernel set, ``stack`` holds the layers of one camera and the order of their work, ``kernels`` has the loops,
``packing`` the order of the weights in memory, and ``neurons`` emits the instructions that a compiler does not find.

One layer has four forms: ``network.chain.ConvSpec`` as it was trained, ``layer.CheckedConv`` with integers that fit the
kernels, ``SimdWeights`` and ``AmxWeights`` in a kernel set's own order, and ``GenericLayer``, ``SimdLayer`` and
``AmxLayer`` with the state of one camera.
"""
