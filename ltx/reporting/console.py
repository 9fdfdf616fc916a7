"""The console for output, and tables of plain columns under a header."""

import sys
from collections.abc import Sequence

import rich.console
import rich.table
import rich.text


def console() -> rich.console.Console:
    """A console as wide as the terminal, or 160 columns for other output, without markup."""
    return rich.console.Console(
        width=None if sys.stdout.isatty() else 160, highlight=False, markup=False
    )


def make_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()
) -> rich.table.Table:
    """A table with a header; the columns with their numbers in `right` are right-aligned."""
    table = rich.table.Table(box=None, pad_edge=False, header_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(rich.text.Text, row))
    return table
