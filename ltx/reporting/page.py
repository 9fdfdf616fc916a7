"""The report as one HTML page, which needs no other file, no network and no server."""

import base64
import functools
import hashlib
import os
from importlib import resources
from pathlib import Path

import jinja2
from markupsafe import Markup

from ltx.analysis import transfer, verdict
from ltx.analysis.grouping import group
from ltx.analysis.paired_tests import Interval
from ltx.analysis.verdict import LevelVerdict
from ltx.core.errors import UsageError
from ltx.core.objectives.metric import Metric
from ltx.reporting import format, page_plots
from ltx.reporting.figures import style
from ltx.reporting.page_words import further_columns, words_of
from ltx.reporting.report import Report
from ltx.store.store import Store
from ltx.study.record import StudyRecord
from ltx.study.results import failure_lines

_MARKERS = dict(zip(style.MARKERS, "\u25cf\u25a0\u25c6\u25b2\u25bc\u271a", strict=True))
_HOLLOW = dict(zip(style.MARKERS, "\u25cb\u25a1\u25c7\u25b3\u25bd\u271b", strict=True))


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
        measure=format.measure,
        over=format.over,
        difference=_difference,
        steps=format.steps,
        more_seeds=format.more_seeds,
        p_value=format.brief_p_value,
        number=format.number,
        mean=_mean,
        share=functools.partial(format.share, unit=""),
        svg=page_plots.svg,
        row=page_plots.row_of,
    )
    further = further_columns(report.trials)
    template = environment.from_string(folder.joinpath("page.html").read_text())
    return template.render(
        report=report,
        record=report.record,
        words=words_of(report),
        further=further,
        further_names=tuple(further.values()),
        failures=failure_lines(report.record.failures),
        plots=report.plots,
        groups=_groups(report),
        counts=_counts(report),
        key=_key(report),
        unused=verdict.unused(report.record.controls),
        transfer_sentence=transfer.sentence(report.transfers) if report.transfers else "",
        unmeasured=[line for line in report.stability if "missing" in line],
        missing=sum("missing" in line for line in report.trials),
        superseded=[line for line in report.trials if line.get("superseded")],
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


def _key(report: Report) -> list[tuple[str, str, str, bool]]:
    """Each finder with its colour's name, its marker, and whether it is a control."""
    key = []
    for name, control in report.record.finders.items():
        colour, marker = style.style_of(report.positions.index(name))
        letter = (_HOLLOW if control else _MARKERS)[marker]
        key.append((name, page_plots.COLOURS[colour], letter, control))
    return key


def _difference(interval: Interval | None, metric: Metric) -> str:
    """A difference that breaks only before its bracket."""
    return format.difference(interval, metric).replace(", ", ",\N{NO-BREAK SPACE}")


def _mean(interval: Interval, form: str) -> str:
    return format.mean(interval, lambda value: format.number(value, form))
