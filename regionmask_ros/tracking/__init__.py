"""Objects over time, and where they are while their regions are masked."""
