"""The kernel set for any processor; users know it as ``portable``."""
