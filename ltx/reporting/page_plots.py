"""Plots as the page shows them: in its colours and fonts, as wide as their place, with tips.

The files of figures are the same plots at the size of a paper's column, with names at their lines.
"""

import html
import json
import re
from collections.abc import Sequence

from markupsafe import Markup

from ltx.reporting.figures import shapes, style
from ltx.reporting.figures.style import Cells, Plot

# The figures' colours as variables of the page's style sheet, which has dark values for them.
COLOURS = {
    style.INK: "ink",
    style.FAINT: "line",
    style.PAPER: "paper",
    **{colour: f"c{number}" for number, colour in enumerate(style.COLOURS)},
    **{colour: f"t{number}" for number, colour in enumerate(style.TEXTS)},
}


_LEVEL_TEXT = re.compile(r'calc\(([\d.]+)(\*[^>]* y=")([\d.]+)" transform="rotate\(-0 [^)]*\)"')
_MIDDLE = 0.35  # how far the middle of a line of text is above its baseline, of its font size


def row_of(count: int) -> str:
    """The style sheet's class for so many plots: how many of them stand in a row."""
    return "alone" if count == 1 else "pairs" if count in (2, 4) else "threes"


def svg(plot: Plot, id: str, alone: bool = False) -> Markup:
    """A plot as SVG within the page, with its title and description.

    `id` is unique in the page.
    """
    with shapes.shaped(plot, shapes.ALONE if alone else shapes.BESIDE) as frame:
        text = plot.svg()
    overlay = _overlay(frame, plot.cells) if plot.cells else ""
    text = text[text.index("<svg") :]
    for gid, tips in plot.tips.items():
        text = _with_tips(text, gid, tips)
    text = text.replace("</svg>", f"{overlay}</svg>")
    text = re.sub(r"<metadata>.*?</metadata>|<defs>\s*<style.*?</defs>", "", text, flags=re.S)
    # Definitions need names of their own among all figures; groups need none.
    text = re.sub(r'(<g) id="[^"]*"', r"\1", text)
    text = re.sub(r'(id="|#)([a-z]\w*?[0-9a-f]{10})\b', rf"\1{id}-\2", text)
    text = re.sub(r"font-size: ([\d.]+)px", r"font-size: calc(\1*var(--u))", text)
    text = re.sub(r" font-family: [^;\"]*;", "", text)
    text = _LEVEL_TEXT.sub(_centred, text)
    for colour, name in COLOURS.items():
        text = text.replace(f": {colour}", f": var(--{name})")
    box = re.search(r'viewBox="([^"]+)"', text)
    assert box is not None
    title, words = html.escape(plot.title), html.escape(plot.text)
    head = f'<svg viewBox="{box[1]}" role="img" aria-labelledby="{id}-t {id}-d">'
    # Not as <title>, which a browser would show as a tip over the whole plot.
    head += f'<desc id="{id}-t">{title}</desc><desc id="{id}-d">{words}</desc>'
    return Markup(re.sub(r"\s*\n\s*", "\n", head + text[text.index(">") + 1 :]))


def _centred(text: re.Match[str]) -> str:
    """The text placed by its middle, which stays beside its mark whatever the size of letters."""
    return f'calc({text[1]}{text[2]}{float(text[3]) - _MIDDLE * float(text[1]):.2f}"'


def _with_tips(text: str, gid: str, tips: Sequence[str]) -> str:
    """The SVG with a title in each marker of this line."""
    start = text.index(f'<g id="{gid}">')
    group = re.compile(r"<g clip-path[^>]*>\s*(?:<use [^>]*/>\s*)+</g>").search(text, start)
    if group is None or group[0].count("<use ") != len(tips):
        return text  # markers beyond the figure's edge are not in it
    titles = iter(tips)
    marked = re.sub(
        r"(<use [^>]*)/>",
        lambda use: f"{use[1]}><title>{html.escape(next(titles))}</title></use>",
        group[0],
    )
    return text[: group.start()] + marked + text[group.end() :]


def _overlay(frame: tuple[float, float, float, float], cells: Cells) -> str:
    """A rectangle over the cells, which are in this frame, that knows what they say."""
    left, top, width, height = frame
    data = {"rows": cells.rows, "columns": cells.columns, "values": cells.values}
    kept = "".join(
        f' data-{key}="{html.escape(json.dumps(list(value), ensure_ascii=False))}"'
        for key, value in data.items()
    )
    size = f'x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'<rect {size} fill="none"{kept}/>'
