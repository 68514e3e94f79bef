"""Training of mask networks. Only ``model``, ``recall``, ``trainer`` and ``session`` need torch."""
