"""What is installed and what works, each with a one-line cure. ``finding`` is one answer; the others find them."""
