"""Tools for compiled kernels: a cache on disk, memory in huge pages, and vector instructions."""
