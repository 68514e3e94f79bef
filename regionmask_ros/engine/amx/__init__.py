"""The kernel set for processors with matrix tiles: Intel AMX."""
