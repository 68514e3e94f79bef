"""Region masks and a sigma-delta detector for ROS 2.

A camera image goes in. A mask says which regions matter, an encoder turns the change inside them into events, and a
sigma-delta convolutional network does work only where events arrive. Nothing here imports ROS, Lava or torch; the rooms
``ros`` and ``commands`` do, where they need them, and ``lava_worker`` runs in an interpreter of its own.
"""

__version__ = "0.1.0"
