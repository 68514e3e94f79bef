"""Makes int8 versions of dense networks, and compares them with the network that they were made from."""
