"""Errors are one printable line, and texts from outside in them are short."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionmask_ros.errors import (
    MAX_LINE_LENGTH,
    MAX_OUTSIDE_LENGTH,
    InvalidFile,
    UserError,
    quote_outside,
    to_one_line,
)

# Surrogates included: ROS messages and file names hold them.
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=400)


@given(ANY_TEXT)
def test_a_quoted_text_is_short_printable_and_says_where_it_was_cut(text):
    quoted = quote_outside(text)
    assert quoted.isprintable() and len(quoted) <= MAX_OUTSIDE_LENGTH
    assert quoted.encode()[:1] == quoted.encode()[-1:] == b"'"
    if text.isprintable():
        assert quoted[1:-1] == text if len(text) <= MAX_OUTSIDE_LENGTH - 2 else quoted.endswith(" ...'")


@given(ANY_TEXT, st.integers(10, 300))
def test_a_line_keeps_within_any_length(text, longest):
    assert len(to_one_line(text, longest)) <= longest


def test_terminal_sequences_and_lines_are_escaped():
    assert quote_outside("a\x1b[2J\nb\0") == r"'a\x1b[2J\nb\x00'"


def test_a_refused_file_keeps_its_name():
    refused = InvalidFile("bad\nfile").about("x\n.npz")
    assert refused.file == "x\n.npz" and str(refused) == r"x\n.npz: bad\nfile"


@given(st.text(st.characters(), max_size=3000))
def test_every_error_is_one_printable_line(text):
    for error in (UserError(text), InvalidFile(text).about("a\nb"), copy.copy(UserError(text))):
        assert str(error).isprintable() and len(str(error)) <= MAX_LINE_LENGTH


@pytest.mark.parametrize("text", ["a.csv: line 3: too few values", "\u30ab\u30e1\u30e9: \u00e9"])
def test_a_printable_line_stays_as_it_is(text):
    assert str(UserError(text)) == text
