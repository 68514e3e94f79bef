"""A table with its columns in groups, as plain text and as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

ABSENT = "-"


@dataclass(frozen=True)
class Column:
    """group: what the column and its neighbours have in common (measured or counted, and the unit); "" for none.

    key: of the row. form: for ``str.format``. scale: what a number is divided by first. words: set to the left.
    """

    name: str
    key: str
    form: str = "{}"
    group: str = ""
    scale: float = 1.0
    words: bool = False

    def cell(self, row: Mapping) -> str:
        value = row.get(self.key)
        return ABSENT if value is None else self.form.format(value if self.scale == 1.0 else value / self.scale)


@dataclass(frozen=True)
class Ratio(Column):
    """A value out of a mapping of the row. of: the key in that mapping."""

    of: str = ""

    def cell(self, row: Mapping) -> str:
        value = (row.get(self.key) or {}).get(self.of)
        return ABSENT if value is None else self.form.format(value)


@dataclass(frozen=True)
class Table:
    """rows: as they are in the JSON result."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Mapping, ...]

    @property
    def cells(self) -> list[tuple[str, ...]]:
        return [tuple(column.cell(row) for column in self.columns) for row in self.rows]


def as_text(table: Table) -> str:
    """Columns of equal width; above their names the groups, where there are any."""
    body = [tuple(column.name for column in table.columns), *table.cells]
    widths = [max(len(line[at]) for line in body) for at in range(len(table.columns))]
    lines = [_line(cells, widths, table.columns) for cells in body]
    groups = _group_line(table.columns, widths)
    return "\n".join([table.title, *([groups] if groups else []), *lines])


def _line(cells: Sequence[str], widths: Sequence[int], columns: Sequence[Column]) -> str:
    set_out = (
        cell.ljust(width) if column.words else cell.rjust(width) for cell, width, column in zip(cells, widths, columns)
    )
    return "  ".join(set_out).rstrip()


def _group_line(columns: Sequence[Column], widths: Sequence[int]) -> str:
    """Names above the columns that they stand for."""
    parts, at = [], 0
    while at < len(columns):
        end = at + 1
        while end < len(columns) and columns[end].group == columns[at].group:
            end += 1
        parts.append(columns[at].group.center(sum(widths[at:end]) + 2 * (end - at - 1)))
        at = end
    return "  ".join(parts).rstrip()


def as_markdown(table: Table) -> str:
    """A title in bold, then the table; a column's group comes before its name."""
    heads = [f"{column.group}: {column.name}" if column.group else column.name for column in table.columns]
    rules = ["---" if column.words else "---:" for column in table.columns]
    lines = [_markdown_row(cells) for cells in (heads, rules, *table.cells)]
    return "\n".join([f"**{table.title}**", "", *lines])


def _markdown_row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
