"""Tables of results: one table becomes text for a terminal, Markdown or HTML.

A `Column` says where the value of a row stands and how it is written. `make_table` applies columns to rows, as they
stand in the JSON result, and returns a `Table` of finished text, which the three printers lay out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from typing import Any

ABSENT = "-"

NARROW_COLUMNS = 4
"""A table of more columns has the whole width of a page."""


def format_number(value: float | None, digits: int = 2) -> str:
    """Writes a number with a fixed count of decimals.

    Args:
        value: The number.
        digits: Decimals.

    Returns:
        The text; ``ABSENT`` for None.
    """
    # Rounded first: a zero has no sign.
    return ABSENT if value is None else f"{round(value, digits) + 0.0:.{digits}f}"


def format_percent(share: float) -> str:
    """Returns a share from 0 to 1 in whole percents."""
    return f"{100 * share:.0f} %"


@dataclass(frozen=True)
class Column:
    """How one value of every row is found and written.

    Attributes:
        name: The heading.
        key: Key of the value in the row; a tuple is a path into nested mappings.
        form: A format string with one field, or a function from the value to its text.
        group: Heading over this column and its neighbors of the same group: measured, counted or modeled, and the
            unit. "" for none.
        is_text: Words, aligned left. Numbers are aligned right.
    """

    name: str
    key: str | tuple[str, ...]
    form: str | Callable[[Any], str] = "{}"
    group: str = ""
    is_text: bool = False

    def format_cell(self, row: Mapping[str, Any]) -> str:
        """Returns the text of this column in a row; ``ABSENT`` where the value is missing or None."""
        value: Any = row
        for part in (self.key,) if isinstance(self.key, str) else self.key:
            value = value.get(part) if value else None
        if value is None:
            return ABSENT
        return self.form.format(value) if isinstance(self.form, str) else self.form(value)


@dataclass(frozen=True)
class Table:
    """A table of text. The first column names the rows.

    Attributes:
        caption: What the table shows.
        columns: Headings of the columns.
        rows: Cells, row by row.
        note: What a reader must know about the values; shown below them on a page.
        groups: Heading over each column, equal for neighbors of one group; empty where there are no groups.
        text_columns: Positions of the columns that are aligned left.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    groups: tuple[str, ...] = ()
    text_columns: frozenset[int] = frozenset({0})

    @property
    def spans(self) -> list[tuple[str, int]]:
        """The groups from left to right, each with its number of columns; empty without groups."""
        return [(group, len(list(members))) for group, members in groupby(self.groups)]


def make_table(caption: str, columns: Sequence[Column], rows: Iterable[Mapping[str, Any]], note: str = "") -> Table:
    """Applies columns to rows.

    Args:
        caption: What the table shows.
        columns: From left to right.
        rows: As they stand in the JSON result.
        note: What a reader must know about the values.

    Returns:
        The table as text, ready to be laid out.
    """
    groups = tuple(column.group for column in columns)
    return Table(caption, tuple(column.name for column in columns),
                 tuple(tuple(column.format_cell(row) for column in columns) for row in rows), note,
                 groups if any(groups) else (),
                 frozenset(place for place, column in enumerate(columns) if column.is_text))


def format_text(table: Table) -> str:
    """Lays a table out for a terminal.

    Args:
        table: The table.

    Returns:
        Lines: the caption, the groups if there are any, the headings, and a line for each row.
    """
    widths = [max(map(len, cells)) for cells in zip(table.columns, *table.rows)]
    lines = [table.caption]
    if table.groups:
        left = iter(widths)
        lines.append("  ".join(group.center(sum(next(left) + 2 for _ in range(n)) - 2) for group, n in table.spans))
    lines += [
        "  ".join(cell.ljust(width) if place in table.text_columns else cell.rjust(width)
                  for place, (cell, width) in enumerate(zip(cells, widths)))
        for cells in (table.columns, *table.rows)]
    return "\n".join(line.rstrip() for line in lines)


def format_markdown(table: Table) -> str:
    """Lays a table out in Markdown.

    Args:
        table: The table.

    Returns:
        The caption in bold, then the table; the group of a column stands before its name.
    """
    groups = table.groups or ("",) * len(table.columns)
    heads = [f"{group}: {name}" if group else name for group, name in zip(groups, table.columns)]
    rules = ["---" if place in table.text_columns else "---:" for place in range(len(heads))]
    lines = (" | ".join(cell.replace("|", "\\|") for cell in cells) for cells in (heads, rules, *table.rows))
    return "\n".join([f"**{table.caption}**", "", *(f"| {line} |" for line in lines)])


def format_html(table: Table) -> str:
    """Lays a table out in HTML; all text is escaped.

    Args:
        table: The table.

    Returns:
        A <div> with the caption, the table in a box in which it scrolls where it is too wide, and its note.
    """
    groups = "".join(f'<th colspan="{count}">{escape(group)}</th>' for group, count in table.spans)
    heads = "".join(f'<th scope="col"{_class(table, place)}>{escape(name)}</th>'
                    for place, name in enumerate(table.columns))
    rows = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td{_class(table, place)}>{escape(cell)}</td>" for place, cell in enumerate(row[1:], 1))
        + "</tr>\n" for row in table.rows)
    note = f'<p class="note">{escape(table.note)}</p>\n' if table.note else ""
    wide = ' class="wide"' if len(table.columns) > NARROW_COLUMNS else ""
    return (
        f"<div{wide}>\n<h3>{escape(table.caption)}</h3>\n"
        f'<div class="scroll" role="region" aria-label="{escape(table.caption, quote=True)}" tabindex="0">\n'
        "<table>\n<thead>" + (f'<tr class="groups">{groups}</tr>' if groups else "")
        + f"<tr>{heads}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n</div>\n{note}</div>\n")


def _class(table: Table, place: int) -> str:
    return ' class="text"' if place and place in table.text_columns else ""
