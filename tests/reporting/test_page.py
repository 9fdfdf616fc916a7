"""Report: the page works in a real browser, offline, and shows what is missing as missing."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
import studied
from browser import look
from ltx_plugins.imp import IMP

from ltx import Store, UsageError
from ltx.analysis import transfer
from ltx.reporting import page as report
from ltx.reporting.format import difference
from ltx.reporting.report import Report
from ltx.study.definition import Study
from ltx.study.record import StudyRecord
from ltx.study.results import CellFailure

SECTIONS = ("verdicts", "cost", "accuracy", "early-stop", "layers", "effective", "overlap")
SECTIONS += ("transfer", "stability", "trials")
HOSTILE = '<img src=x onerror="alert(1)">&$x_1$'


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return studied.small(tmp_path_factory.mktemp("small") / "store", seeds=2)


@pytest.fixture(scope="module")
def page(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report.write(store, tmp_path_factory.mktemp("page") / "page.html")[0]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return studied.tiny(tmp_path_factory.mktemp("tiny") / "store")


def column(chromium: Any, number: int) -> list[str]:
    """The texts of the rows that are shown of a column of the table of trials."""
    return chromium.execute_script(
        "return [...document.querySelectorAll('#all-trials tbody tr')].filter((r) => !r.hidden)"
        ".map((r) => r.cells[arguments[0]].textContent)",
        number,
    )


def texts(chromium: Any, selector: str) -> list[str]:
    return chromium.execute_script(
        "return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)", selector
    )


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1200])
def test_a_browser_draws_every_plot_and_complains_of_nothing(
    chromium: Any, page: Path, store: Store, width: int, scheme: str
) -> None:
    look(chromium, page, width=width, scheme=scheme)
    sizes = chromium.execute_script(
        "return [...document.querySelectorAll('figure svg')].map((e) => {"
        "const r = e.getBoundingClientRect(); return [r.width, r.height, r.right,"
        " e.querySelectorAll('path, use, image').length]})"
    )
    plots = Report(StudyRecord.read(store), store).plots
    assert len(sizes) == sum(map(len, plots.values()))
    masks = [len(plots[name]) for name in ("effective", "overlaps", "dead units")]
    assert masks[:2] == [2, 2]
    assert masks[2] >= 2  # SNIP kills units on both tasks
    assert len(plots["wiring"]) > 1
    assert len(sizes) - sum(masks) - len(plots["wiring"]) == 2 * (3 + 1 + 1 + 4) + 2
    for wide, high, right, marks in sizes:
        assert wide > 250
        assert high > 60
        assert right <= width
        assert marks > 2
    assert chromium.execute_script("return document.documentElement.scrollWidth") <= width
    text = chromium.execute_script(
        "const t = [...document.querySelectorAll('figure text')];"
        "return Math.min(...t.map((e) => { const m = e.getScreenCTM();"
        " return parseFloat(getComputedStyle(e).fontSize) * Math.hypot(m.a, m.b)}))"
    )
    assert text > 7  # pixels, of the smallest number in a cell
    paper, ink = chromium.execute_script(
        "const s = getComputedStyle(document.body); return [s.backgroundColor, s.color]"
    )
    assert (sum(numbers(paper)) < sum(numbers(ink))) == (scheme == "dark")
    assert chromium.get_log("browser") == []


def numbers(colour: str) -> list[int]:
    return [int(n) for n in re.findall(r"\d+", colour)]


@pytest.mark.slow
def test_every_plot_has_a_name_and_words_and_no_id_is_there_twice(
    chromium: Any, page: Path
) -> None:
    look(chromium, page)
    ids, plots, named = chromium.execute_script(
        "const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);"
        "const plots = [...document.querySelectorAll('figure svg')];"
        "const named = plots.filter((e) => e.getAttribute('aria-labelledby').split(' ')"
        ".every((id) => document.getElementById(id).textContent.length > 5));"
        "return [ids, plots.length, named.length]"
    )
    assert len(set(ids)) == len(ids)
    assert named == plots > 0
    broken = chromium.execute_script(
        "return [...document.querySelectorAll('use, a[href^=\"#\"]')].filter((e) =>"
        " !document.getElementById((e.getAttribute('href') || e.getAttribute('xlink:href'))"
        ".slice(1))).length"
    )
    assert broken == 0


def test_all_that_was_carried_is_in_a_table_with_its_gap(page: Path, store: Store) -> None:
    text = page.read_text().replace("\N{NO-BREAK SPACE}", " ")
    section = text.partition('id="transfer"')[2].partition("</section>")[0]
    found = transfer.transfer_results(StudyRecord.read(store), store)
    assert section.count("<tr><td>") == len(found) == 2 * 2 * 3
    for one in found:
        assert f'<td class="wraps">{difference(one.gap)}</td>' in section
        assert f"<td>{one.native}</td>" in section
    assert any(one.gap for one in found)
    assert "Carried tickets are" in section


@pytest.mark.slow
def test_the_table_of_trials_sorts_and_filters(chromium: Any, page: Path, store: Store) -> None:
    look(chromium, page)
    rows = len(StudyRecord.read(store).rows)
    assert len(column(chromium, 0)) == rows
    buttons = chromium.find_elements("css selector", "#all-trials th button")
    accuracy = next(n for n, b in enumerate(buttons) if "accuracy" in b.text)
    click = "arguments[0].click()"
    chromium.execute_script(click, buttons[accuracy])
    up = [float(text) for text in column(chromium, accuracy)]
    assert up == sorted(up)
    assert len(set(up)) > 3
    chromium.execute_script(click, buttons[accuracy])
    down = [float(text) for text in column(chromium, accuracy)]
    assert down == up[::-1]
    chromium.find_element("css selector", ".filter input").send_keys("OTHER imp")
    assert set(column(chromium, 0)) == {"other/fake"}
    assert set(column(chromium, 1)) == {"imp"}
    shown = len(column(chromium, 0))
    assert texts(chromium, ".filter output") == [f"{shown} of {rows} rows"]
    assert 0 < shown < rows
    chromium.find_element("css selector", ".filter input").clear()
    chooser = chromium.find_elements("css selector", ".filter select")[1]
    chooser.send_keys("reinit")
    assert set(column(chromium, 1)) == {"reinit"}
    assert chromium.get_log("browser") == []


@pytest.mark.slow
def test_it_prints_whole_and_on_white(chromium: Any, page: Path) -> None:
    look(chromium, page, scheme="dark")
    printed = {"media": "print", "features": []}
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", printed)
    hidden, cut, paper = chromium.execute_script(
        "const s = (q) => getComputedStyle(document.querySelector(q));"
        "return [s('.filter').display, s('.tall').maxHeight, s('body').backgroundColor]"
    )
    assert (hidden, cut, numbers(paper)) == ("none", "none", [255, 255, 255])


@pytest.mark.slow
def test_names_are_shown_and_not_run(chromium: Any, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    studied.run(Study({HOSTILE: IMP(levels=1)}, tasks=(studied.TASK,), seeds=2), store)
    made = report.write(store, tmp_path / "page.html", figures=str(tmp_path / "figures"))
    look(chromium, made[0])
    assert chromium.execute_script("return document.querySelectorAll('body img').length") == 0
    assert HOSTILE in texts(chromium, "h1")[0]
    assert HOSTILE in column(chromium, 1)
    assert chromium.get_log("browser") == []


@pytest.mark.slow
def test_what_is_missing_is_shown_as_missing_and_never_as_zero(
    chromium: Any, tmp_path: Path
) -> None:
    store = studied.small(tmp_path / "store", seeds=2)
    record = StudyRecord.read(store)
    failed, lost = record.rows[3], record.rows[-1]
    left = tuple(row for row in record.rows if (row.seed, row.finder) != (1, "imp"))
    failures = (CellFailure(failed.task, "imp", 1, "the loss is not finite"),)
    kept = dataclasses.replace(record, rows=left, failures=failures)
    store.put_study(record.id, kept.document())
    (store.path / "trials" / f"{lost.trial.id}.json").unlink()
    look(chromium, report.write(store, tmp_path / "page.html")[0])
    gone = texts(chromium, "tr.missing")
    assert len(gone) == 2 * 4 + 1
    assert sum("the loss is not finite" in text for text in gone) == 4
    assert sum("not found with this seed" in text for text in gone) == 4
    assert sum("missing or damaged" in text for text in gone) == 1
    buttons = chromium.find_elements("css selector", "#all-trials th button")
    for _ in range(2):  # up and down
        chromium.execute_script("arguments[0].click()", buttons[6])
        assert column(chromium, 6)[-9:] == column(chromium, 11)[-9:] == ["-"] * 9
    assert "stopped early" in " ".join(texts(chromium, "#verdicts")).lower()
    assert chromium.get_log("browser") == []


def test_seconds_whose_log_is_gone_are_missing(tmp_path: Path) -> None:
    store = studied.tiny(tmp_path / "store")
    path, log = tmp_path / "page.html", store.path / "log.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    kept = [line for line in lines if '"timed"' not in line]
    timed = [line for line in lines if '"timed"' in line]
    assert len(timed) == 2
    for known, words in (
        (timed, "but not reading data, building models and compiling them.</p>"),
        (timed[:1], "For 1 trial they are not known"),
        ([], "There is no plot of seconds"),
    ):
        log.write_text("".join([*kept, *known]))
        report.write(store, path)
        text = path.read_text()
        assert words in text
        assert ("accuracy against cost in seconds" in text) == bool(known)
        rows = re.findall(r"<tr>(<td>fake/fake.*?)</tr>", text)
        cells = [re.findall(r"<td>(.*?)</td>", row)[11] for row in rows]
        assert sum(cell == "-" for cell in cells) == 2 - len(known)


@pytest.mark.slow
def test_two_thousand_trials_fit_into_five_megabytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.fsync", lambda handle: None)  # no use in made-up trials
    store = studied.large(tmp_path / "store")
    page = report.write(store, tmp_path / "page.html")[0]
    assert page.read_text().count("</td></tr>") >= 2000
    assert page.stat().st_size < 5_000_000


def test_the_page_is_one_file_that_asks_for_nothing_else(page: Path) -> None:
    text = page.read_text()
    assert re.findall(r'(?:src|href|action)="(?!#|data:)', text) == []
    assert "url(" not in re.sub(r"url\(#[\w-]+\)", "", text)
    assert "@import" not in text
    for section in SECTIONS:
        assert f'<section id="{section}">' in text
    assert studied.COMMAND in text
    key = re.findall(r'--own: var\(--(\w+)\)">(.)</span>([^<]+)<', text)[:5]
    assert key[0] == ("c0", "\N{BLACK CIRCLE}", "imp")
    assert key[4][2] == "reinit (control)"
    assert len({looks[:2] for looks in key}) == 5


def test_the_same_study_gives_the_same_bytes(tiny: Store, tmp_path: Path) -> None:
    one, other = (report.write(tiny, tmp_path / f"{n}.html")[0] for n in range(2))
    assert one.read_bytes() == other.read_bytes()


def test_one_seed_is_called_what_it_is(tiny: Store, tmp_path: Path) -> None:
    text = report.write(tiny, tmp_path / "page.html")[0].read_text()
    assert "one seed cannot tell luck from merit" in text
    shown = text[text.index('<section id="verdicts">') : text.index('<section id="provenance">')]
    assert re.search(r"\b(nan|inf|None)\b", shown) is None
    assert "No ticket of this study was carried from one task to another." in text
    assert "there are no two sparse tickets" in text


def test_tickets_of_an_older_store_have_no_effective_weights_to_show(tmp_path: Path) -> None:
    store = studied.large(tmp_path / "store", tasks=1, labels=2, seeds=2, levels=2)
    text = report.write(store, tmp_path / "page.html")[0].read_text()
    assert "effective weights are known for no ticket" in text
    assert text.count("</td><td>-</td><td>") == 2 * 2 * 2


def test_a_study_that_has_only_begun_has_a_page(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    made = Study({"imp": IMP(levels=1)}, tasks=(studied.TASK,), seeds=2)
    record = StudyRecord.of(made, None, command=studied.COMMAND, config="", plugins=[])
    store.put_study(record.id, record.document())
    text = report.write(store, tmp_path / "page.html")[0].read_text()
    assert "not finished" in text
    assert text.count("missing: not run yet") == 2


def test_controls_alone_say_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    control = studied.finders(levels=1)["reinit"]
    studied.run(Study({"reinit": control}, tasks=(studied.TASK,), seeds=2), store)
    text = report.write(store, tmp_path / "page.html")[0].read_text()
    assert "nothing to say" in text


def test_plots_whose_names_make_one_file_name_are_both_written(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    alike = {"a/b": IMP(levels=1), "a b": IMP(levels=1)}
    studied.run(Study(alike, tasks=(studied.TASK,), seeds=2), store)
    made = Report(StudyRecord.read(store), store)
    paths = made.write_figures(tmp_path / "figures")
    assert len(set(paths)) == len(paths) == 2 * sum(map(len, made.plots.values()))
    assert all(path.stat().st_size > 1000 for path in paths)


def test_a_study_of_finders_that_are_gone_is_shown_all_the_same(
    tiny: Store, tmp_path: Path
) -> None:
    record = StudyRecord.read(tiny)
    document = json.loads(json.dumps(record.document()))
    document |= {"id": "ffff", "study": {"finders": {"imp": {"is": "gone.plugin:Finder"}}}}
    tiny.put_study("ffff", document)
    assert (
        "gone.plugin:Finder" in report.write(tiny, tmp_path / "p.html", study="ff")[0].read_text()
    )


def test_a_page_that_cannot_be_written_is_refused(tiny: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="choose another --out"):
        report.write(tiny, tmp_path / "file" / "page.html")
    with pytest.raises(UsageError, match="cannot write"):
        report.write(tiny, tmp_path / "page.html", data=str(tmp_path / "file"))
    with pytest.raises(UsageError, match="cannot write"):
        report.write(tiny, tmp_path / "page.html", figures=str(tmp_path / "file"))


@pytest.fixture(scope="module")
def stable(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return studied.stable(tmp_path_factory.mktemp("stable") / "store")


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(375, "light"), (1200, "dark")])
def test_a_browser_draws_stability_too(
    chromium: Any, stable: Store, tmp_path: Path, width: int, scheme: str
) -> None:
    page = report.write(stable, tmp_path / "page.html")[0]
    look(chromium, page, width=width, scheme=scheme)
    sizes = chromium.execute_script(
        "return [...document.querySelectorAll('#stability figure svg')].map((e) => {"
        "const r = e.getBoundingClientRect(); return [r.width, r.height, r.right]})"
    )
    assert len(sizes) == 2 + 1 + 2 + 4
    assert all(wide > 250 and high > 100 and right <= width for wide, high, right in sizes)
    assert chromium.execute_script("return document.documentElement.scrollWidth") <= width
    assert len(texts(chromium, "#stability tbody tr")) == 2 * 2 * 2
    assert chromium.get_log("browser") == []


def test_stability_that_was_not_asked_for_is_not_shown_as_none(
    tiny: Store, stable: Store, tmp_path: Path
) -> None:
    text = report.write(tiny, tmp_path / "page.html")[0].read_text()
    assert "Stability was not measured" in text
    text = report.write(stable, tmp_path / "page.html")[0].read_text()
    assert "Stability was not measured" not in text
    assert re.search(r"\b(nan|None)\b", text[text.index('<section id="stability">') :]) is None


def test_comparisons_that_are_missing_are_counted_and_exported(
    stable: Store, tmp_path: Path
) -> None:
    record = StudyRecord.read(stable)
    fewer = dataclasses.replace(record, id="fewer", compared=record.compared[:-2])
    stable.put_study("fewer", fewer.document())
    text = report.write(stable, tmp_path / "p.html", study="fewer", data=str(tmp_path))[0]
    assert "2 of 16 comparisons missing, the first because: not measured" in text.read_text()
    lines = (tmp_path / "stability.csv").read_text().splitlines()
    assert len(lines) == 1 + 16
    assert lines[-1].startswith('"fake/fake","reinit",true,1,1,,"20it",,,,,')
    assert lines[-1].endswith('"not measured"')
    stable.path.joinpath("studies", "fewer.json").unlink()
