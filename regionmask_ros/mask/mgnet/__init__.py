"""The learned dynamic mask: two mask networks, their weights, and the mask source that runs them."""
