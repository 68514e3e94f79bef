"""One table as text, as Markdown and as HTML."""

from __future__ import annotations

from regionmask_ros.report.tables import Column, format_html, format_markdown, format_number, format_text, make_table

TABLE = make_table("Fruit", (
    Column("name", "name", is_text=True), Column("median", "ms", "{:.1f}", "measured, ms"),
    Column("p90", "p90", "{:.1f}", "measured, ms"), Column("k", "count", lambda n: f"{n / 1000:.2f}", "counted"),
    Column("pear", ("ratio_to", "pear"), "{:.1f}"),
), (
    {"name": "apple", "ms": 1.25, "p90": 10.0, "count": 1500, "ratio_to": {"pear": 2.0}},
    {"name": "a|b", "ms": None, "count": 0, "ratio_to": {}},
), "Notes < none")


def test_text_has_groups_above_their_columns_and_numbers_to_the_right():
    assert format_text(TABLE).splitlines() == [
        "Fruit",
        "       measured, ms  counted",
        "name   median   p90     k  pear",
        "apple     1.2  10.0  1.50   2.0",
        "a|b         -     -  0.00     -",
    ]


def test_markdown_names_groups_and_escapes_bars():
    assert format_markdown(TABLE).splitlines() == [
        "**Fruit**", "",
        "| name | measured, ms: median | measured, ms: p90 | counted: k | pear |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| apple | 1.2 | 10.0 | 1.50 | 2.0 |",
        "| a\\|b | - | - | 0.00 | - |",
    ]


def test_html_has_a_heading_for_each_group_and_escapes_text():
    page = format_html(TABLE)
    assert '<th colspan="2">measured, ms</th><th colspan="1">counted</th>' in page
    assert page.count("<tr>") == 3 and "<td>1.50</td>" in page and "Notes &lt; none" in page


def test_a_zero_has_no_sign():
    assert [format_number(value, 1) for value in (-0.04, -0.06, None)] == ["0.0", "-0.1", "-"]
