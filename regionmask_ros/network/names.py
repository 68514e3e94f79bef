"""Names of networks that every command knows."""

INSTALLED = "yolo_kp"
"""The sigma-delta network that the set-up installs."""

DEFAULT = "street"
"""The network of the package, which runs where the user names none."""
