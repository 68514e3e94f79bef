"""Sigma-delta networks with branches: layers that read several others, several heads, and pools.

Read ``operators`` (what a node does with messages) and ``reference`` first. ``engine`` computes the same integers with
the kernels of ``generic`` and ``kernels``, for any processor.
"""
