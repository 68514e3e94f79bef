"""The structures of native/plan.h for ctypes, member by member."""

from __future__ import annotations

import ctypes

OPERATIONS = ("product", "depthwise", "add", "multiply", "activate", "max_pool", "average_pool", "nearest", "linear",
              "copy", "gather", "blocks")
"""In the order of their numbers."""

MAP_MARGIN = 8
"""Zeros beside each row of a tile map."""

_int = ctypes.c_int64
_address = ctypes.c_void_p


def _integers(names: str) -> list[tuple[str, type]]:
    return [(name, _int) for name in names.split()]


def _addresses(names: str) -> list[tuple[str, type]]:
    return [(name, _address) for name in names.split()]


class TensorRecord(ctypes.Structure):
    """``Tensor``."""

    _fields_ = _integers("pixels row_pitch pixel_pitch height width channels pixel_bytes side rows cols map_pitch "
                         "dirty pending weak grid")


class GridRecord(ctypes.Structure):
    """``Grid``."""

    _fields_ = [*_integers("rows cols map_pitch attended unattended"), *_addresses("region_rows region_cols")]


class EdgeRecord(ctypes.Structure):
    """``Edge``."""

    _fields_ = [("tensor", _int), *_addresses("tile_rows tile_cols"), *_integers("above below before after")]


class PartRecord(ctypes.Structure):
    """``Part``."""

    _fields_ = _integers("edge source target bytes")


class EpilogueRecord(ctypes.Structure):
    """``Epilogue`` of native/kernels.h."""

    _fields_ = [*_addresses("multiplier bias scale zero"), ("activation", ctypes.c_int32), ("alpha", ctypes.c_float),
                ("beta", ctypes.c_float), ("ahead", _address)]


class NodeRecord(ctypes.Structure):
    """``Node``."""

    _fields_ = [("operation", _int), ("kernels", _address), ("is_compared", _int), ("edges", _address),
                *_integers("edge_count kernel_rows kernel_cols stride top left block_pixels scratch_pitch groups "
                           "group_inputs group_outputs group_bytes"), ("packed", _address),
                *_integers("k runs run_length"), ("run_offset", _address), ("epilogue", EpilogueRecord),
                *_addresses("factor_a factor_b zero_a zero_b padding"), ("counts_padding", _int), ("parts", _address),
                ("part_count", _int), ("order", _address)]


class PlanRecord(ctypes.Structure):
    """``Plan``."""

    _fields_ = [*_addresses("kernels tensors nodes"), ("node_count", _int), ("grids", _address),
                *_integers("grid_count region_rows region_cols"), *_addresses("section_rows section_cols"),
                *_integers("tile_section_rows tile_section_cols flags regions reached merged sums addresses panel "
                           "scratch")]


class FlagsRecord(ctypes.Structure):
    """``Flags``."""

    _fields_ = [*_integers("dirty pending weak touched"), ("threshold", ctypes.c_double)]


class FrameRecord(ctypes.Structure):
    """``Frame``."""

    _fields_ = [("image", _address), ("image_pitch", _int), *_addresses("attended thresholds"),
                ("input_threshold", ctypes.c_double), *_integers("is_dense dense_pixels"),
                *_addresses("change counts squares"), ("quiet_square", ctypes.c_double), ("replaced_heads", _int)]


class ResizeRecord(ctypes.Structure):
    """``Resize`` of native/resize.h."""

    _fields_ = [*_integers("from_pitch width height"), *_addresses("column column_weight rows row_weight"),
                *_integers("wide_columns is_swapped block"), *_addresses("block_byte block_index block_weight scratch"),
                ("scratch_pitch", _int)]


STRUCTURES = (TensorRecord, GridRecord, EdgeRecord, PartRecord, NodeRecord, PlanRecord, FlagsRecord, FrameRecord,
              ResizeRecord)
"""In the order of ``rm_tiles_structure_bytes``."""
