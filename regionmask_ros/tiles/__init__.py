"""An engine for any convolutional network that recomputes only the tiles whose inputs changed."""
