"""Many sources: units of work, who does them (worker processes or a Ray cluster), and what their results become."""
