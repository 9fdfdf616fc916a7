"""The report as one HTML page, which needs no other file, no network and no server."""

import base64
import functools
import hashlib
import html
import os
import re
from importlib import resources
from pathlib import Path

import jinja2
from markupsafe import Markup

from ltx.analysis import transfer, verdict
from ltx.analysis.grouping import group
from ltx.analysis.paired_tests import Interval
from ltx.analysis.verdict import LevelVerdict
from ltx.core.errors import UsageError
from ltx.reporting import format
from ltx.reporting.figures import style
from ltx.reporting.figures.style import Plot
from ltx.reporting.report import Report
from ltx.store.store import Store
from ltx.study.record import StudyRecord
from ltx.study.results import failure_lines

# The figures' colours as variables of the page's style sheet, which has dark values for them.
_COLOURS = {
    style.INK: "ink",
    style.FAINT: "line",
    style.PAPER: "paper",
    **{colour: f"c{number}" for number, colour in enumerate(style.COLOURS)},
    **{colour: f"t{number}" for number, colour in enumerate(style.TEXTS)},
}
_MARKERS = dict(zip(style.MARKERS, "\u25cf\u25a0\u25c6\u25b2\u25bc\u271a", strict=True))


def write(
    store: Store,
    out: str | os.PathLike[str],
    *,
    study: str = "",
    figures: str | None = None,
    data: str | None = None,
) -> list[Path]:
    """Write the page of a study, and its figures and data if folders are given for them.

    `study` is an id or the unique beginning of one; "" is the latest. Returns all paths.
    """
    report = Report(StudyRecord.read(store, study), store)
    path = Path(out)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(render(report), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}; choose another --out") from error
    more_paths = report.write_figures(figures) if figures else []
    return [path, *more_paths, *(report.write_data(data) if data else [])]


def render(report: Report) -> str:
    """The whole page; the same study gives the same bytes."""
    folder = resources.files("ltx.reporting")
    css, script = (folder.joinpath(f"page.{suffix}").read_text() for suffix in ("css", "js"))
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters.update(
        percent=format.percent,
        difference=format.difference,
        steps=format.steps,
        more_seeds=format.more_seeds,
        p_value=format.brief_p_value,
        number=format.number,
        mean=_mean,
        share=functools.partial(format.share, unit=""),
        svg=_svg,
    )
    template = environment.from_string(folder.joinpath("page.html").read_text())
    return template.render(
        report=report,
        record=report.record,
        failures=failure_lines(report.record.failures),
        plots=report.plots,
        groups=_groups(report),
        counts=_counts(report),
        key=_key(report.record),
        unused=verdict.unused(report.record.controls),
        transfer_sentence=transfer.sentence(report.transfers) if report.transfers else "",
        unmeasured=[line for line in report.stability if "missing" in line],
        missing=sum("missing" in line for line in report.trials),
        untimed=sum(line.get("seconds", 0) is None for line in report.trials),
        style=Markup(css),
        script=Markup(script),
        digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _groups(report: Report) -> list[tuple[str, list[LevelVerdict], list[str]]]:
    """The sentence, the levels and the controls of each finder on each task."""
    groups = group(report.levels, lambda level: (level.task, level.finder))
    return [
        (verdict.sentence(levels), levels, sorted({c for level in levels for c in level.controls}))
        for levels in groups.values()
    ]


def _counts(report: Report) -> list[tuple[str, int]]:
    verdicts = [level.verdict for level in report.levels if level.level > 0]
    return [(one, verdicts.count(one)) for one in verdict.VERDICTS]


def _key(record: StudyRecord) -> list[tuple[str, str, str, bool]]:
    """Each finder with its colour's name, its marker, and whether it is a control."""
    styles = [style.style_of(position) for position in range(len(record.finders))]
    return [
        (name, _COLOURS[colour], _MARKERS[marker], control)
        for (name, control), (colour, marker) in zip(record.finders.items(), styles, strict=True)
    ]


def _mean(interval: Interval, form: str) -> str:
    return format.mean(interval, lambda value: format.number(value, form))


def _svg(plot: Plot, id: str) -> Markup:
    """A plot as SVG within the page: labelled, scaled by its frame, in the page's colours.

    `id` is unique in the page.
    """
    text = plot.svg()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<defs>\s*<style.*?</defs>", "", text, flags=re.S)
    # Definitions need names of their own among all figures; groups need nplot.
    text = re.sub(r'(<g) id="[^"]*"', r"\1", text)
    text = re.sub(r'(id="|#)([a-z]\w*?[0-9a-f]{10})\b', rf"\1{id}-\2", text)
    text = re.sub(r"font-family: [^;\"]*", "font-family: var(--sans)", text)
    for colour, name in _COLOURS.items():
        text = text.replace(f": {colour}", f": var(--{name})")
    box = re.search(r'viewBox="([^"]+)"', text)
    assert box is not None
    title, words = html.escape(plot.title), html.escape(plot.text)
    head = f'<svg viewBox="{box[1]}" role="img" aria-labelledby="{id}-t {id}-d">'
    head += f'<title id="{id}-t">{title}</title><desc id="{id}-d">{words}</desc>'
    return Markup(re.sub(r"\s*\n\s*", "\n", head + text[text.index(">") + 1 :]))
