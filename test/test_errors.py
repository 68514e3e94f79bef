from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionmask_ros.errors import MAX_LINE_LENGTH, InvalidFile, UserError


@given(st.text(st.characters(), max_size=3000))
def test_every_error_is_one_printable_line(text):
    for error in (UserError(text), InvalidFile(text).about("a\nb"), copy.copy(UserError(text))):
        assert str(error).isprintable() and len(str(error)) <= MAX_LINE_LENGTH


@pytest.mark.parametrize("text", ["a.csv: line 3: too few values", "\u30ab\u30e1\u30e9: \u00e9"])
def test_a_printable_line_stays_as_it_is(text):
    assert str(UserError(text)) == text
