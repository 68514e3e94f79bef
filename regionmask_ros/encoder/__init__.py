"""The sigma-delta encoder: from images to events."""
