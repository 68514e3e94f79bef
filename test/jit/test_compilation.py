"""Kernels that are compiled are counted, and a long compilation is said once in a while."""

from __future__ import annotations

import logging

import numba

from regionmask_ros.jit import compilation


def make_kernel(module: str):
    def add_one(value):
        return value + 1

    add_one.__module__ = module
    return numba.njit(add_one)


def test_only_kernels_of_this_package_count_each_time_they_are_compiled():
    counts: list[int] = []
    ours, foreign = make_kernel("regionmask_ros.made_here"), make_kernel("elsewhere")
    with compilation.count_compilations(counts.append):
        assert ours(1) == 2 and foreign(1) == 2 and ours(1.0) == 2.0 and ours(2) == 3
    ours(1j)
    assert counts == [1, 2]


def test_a_few_kernels_are_not_worth_a_line_and_many_are_announced(caplog):
    announcement = compilation._Announcement("first start only", iter(range(0, 1000, 2)).__next__)
    with caplog.at_level(logging.WARNING):
        for count in range(1, 5):
            announcement.report(count)
        assert caplog.messages == []
        for count in (*range(5, 11), 95, 96, 97):
            announcement.report(count)
    assert caplog.messages == ["compiling kernels: 7 of about 90, first start only",
                               "compiling kernels: 10 of about 90, first start only",
                               "compiling kernels: 97 of about 97, first start only"]
