"""The trained network: its integers, the file they come from, and the classes it names."""
