"""Layout of the page in a browser: nothing is cut, plots are wide, and points say their values."""

import dataclasses
import re
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import studied
from browser import look
from ltx_plugins.imp import IMP
from ltx_plugins.random_reinit import RandomReinit
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from ltx import Store
from ltx.reporting import page as report
from ltx.reporting.figures import style
from ltx.reporting.report import Report
from ltx.study.definition import Study
from ltx.study.record import StudyRecord
from ltx.study.results import CellFailure

WIDTHS = (390, 1280, 1920)
LINES = ("cost", "accuracy", "early-stop", "effective", "stability")  # sections with lines


def many_controls(path: Path) -> Store:
    """One finder and seven controls: more than there are colours."""
    store, imp = Store(path), IMP(levels=2)
    controls = {
        "reinit": RandomReinit(of=imp),
        "signs": RandomReinit(of=imp, weights="sign_kept"),
        **{
            f"{mask}_{weights}": RandomReinit(of=imp, mask=mask, weights=weights)
            for mask in ("shuffled", "random", "uniform")
            for weights in ("same", "fresh")
        },
    }
    studied.run(Study({"imp": imp, **controls}, tasks=(studied.TASK,), seeds=2), store)
    return store


def diverged(path: Path) -> Store:
    """A cell that failed with a long message."""
    store = studied.tiny(path)
    record = StudyRecord.read(store)
    words = "training diverged before step 20, dense_1/kernel is not finite; lower the rate " * 3
    failures = (CellFailure(record.tasks[0], "imp", 0, words),)
    store.put_study(record.id, dataclasses.replace(record, rows=(), failures=failures).document())
    return store


STUDIES = {
    "small": studied.small,
    "tiny": studied.tiny,
    "stable": studied.stable,
    "controls": many_controls,
    "diverged": diverged,
}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    return {
        name: report.write(make(folder / name), folder / f"{name}.html")[0]
        for name, make in STUDIES.items()
    }


@pytest.fixture(scope="module")
def controls(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return many_controls(tmp_path_factory.mktemp("controls") / "store")


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDIES)
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_page(
    chromium: Any, pages: dict[str, Path], name: str, width: int
) -> None:
    look(chromium, pages[name], width=width)
    assert chromium.execute_script("return document.documentElement.scrollWidth") <= width
    # What scrolls in a box of its own may be wider, and so may what is drawn and clipped in a plot.
    beyond = chromium.execute_script(
        "return [...document.querySelectorAll('body *')].filter((e) =>"
        " !e.closest('.scroll > *, figure svg *') && e.getBoundingClientRect().right > innerWidth)"
        ".map((e) => e.outerHTML.slice(0, 200))"
    )
    assert beyond == []
    assert chromium.get_log("browser") == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["small", "controls"])
@pytest.mark.parametrize("width", [*WIDTHS, 1400])
def test_the_reasons_of_verdicts_are_never_cut(
    chromium: Any, pages: dict[str, Path], name: str, width: int
) -> None:
    look(chromium, pages[name], width=width)
    cut = chromium.execute_script(
        "return [...document.querySelectorAll('td.why')].filter((e) => {"
        " const own = e.getBoundingClientRect();"
        " const box = e.closest('.scroll').getBoundingClientRect();"
        " return own.left < box.left - 1 || own.right > box.right + 1"
        " || e.scrollWidth > e.clientWidth + 1 || own.width < 150}).length"
    )
    assert cut == 0
    wide = chromium.execute_script(
        "return [...document.querySelectorAll('.levels, .carried')].filter((e) =>"
        " e.parentNode.scrollWidth > e.parentNode.clientWidth).length"
    )
    assert wide == 0
    blocks, named = chromium.execute_script(
        "const cells = [...document.querySelectorAll('.levels.blocks td:not(:empty)')];"
        "return [cells.length, cells.filter((e) => getComputedStyle(e, '::before').content"
        ".length > 2).length]"
    )
    assert blocks == named
    assert (blocks > 0) == (width == 390 or name == "controls")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tiny", "stable", "controls"])
@pytest.mark.parametrize("width", WIDTHS)
def test_plots_use_the_width_of_the_page(
    chromium: Any, pages: dict[str, Path], name: str, width: int
) -> None:
    look(chromium, pages[name], width=width)
    rows = chromium.execute_script(
        "const main = document.querySelector('main').clientWidth;"
        "return [...document.querySelectorAll('.plots')].filter((e) => e.children.length)"
        ".map((e) => { const boxes = [...e.querySelectorAll('svg')].map((s) =>"
        " s.getBoundingClientRect()); const first = boxes.filter((b) => b.top === boxes[0].top);"
        " return [boxes.length, first[0].width / main,"
        " (first.at(-1).right - first[0].left) / main, first[0].height]})"
    )
    assert any(count == 1 for count, *_ in rows)
    for count, one, whole, height in rows:
        assert whole > 0.9 or count == 5
        assert count > 1 or one > 0.9
        assert height < 900


@pytest.mark.slow
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["small", "stable", "controls"])
def test_words_in_plots_are_whole_and_do_not_overlap(
    chromium: Any, pages: dict[str, Path], name: str, width: int
) -> None:
    look(chromium, pages[name], width=width)
    plots = chromium.execute_script(
        "return [...document.querySelectorAll('figure svg')].map((svg) => {"
        " const box = svg.getBoundingClientRect();"
        " const texts = [...svg.querySelectorAll('text')].map((e) => {"
        "  const r = e.getBoundingClientRect(), m = e.getScreenCTM();"
        "  return [e.textContent, r.left, r.right, r.top, r.bottom,"
        "   parseFloat(getComputedStyle(e).fontSize) * Math.hypot(m.a, m.b)]});"
        " return [svg.querySelector('desc').textContent, box.left, box.right, box.top, box.bottom,"
        "  texts]})"
    )
    assert plots
    for title, left, right, top, bottom, texts in plots:
        for text, x0, x1, y0, y1, letters in texts:
            place = f"{title}: {text}"
            assert left - 1 <= x0 <= x1 <= right + 1, place
            assert top - 1 <= y0 <= y1 <= bottom + 1, place
            assert 7 < letters < 16, place
        for n, (text, x0, x1, y0, y1, _) in enumerate(texts):
            for other, a0, a1, b0, b1, _ in texts[:n]:
                apart = x0 >= a1 - 1 or a0 >= x1 - 1 or y0 >= b1 - 3 or b0 >= y1 - 3
                assert apart, f"{title}: {text} and {other}"
        axes = [text for text, *_ in texts if text == "time, finding and training"]
        if "in seconds" in title:
            assert len(axes) == 1
            marks = [text for text, *_ in texts if re.fullmatch(r"[\d.]+ (ms|s|min|h|d)", text)]
            assert len(marks) >= 3


@pytest.mark.slow
@pytest.mark.parametrize("width", WIDTHS)
def test_numbers_of_an_axis_stand_at_their_marks(
    chromium: Any, pages: dict[str, Path], width: int
) -> None:
    look(chromium, pages["tiny"], width=width)
    gaps = chromium.execute_script(
        "const middle = (e, from, size) => { const r = e.getBoundingClientRect();"
        " return r[from] + r[size] / 2 };"
        "return [...document.querySelectorAll('figure g')].filter((g) => g.children.length > 1"
        " && g.firstElementChild.querySelector('path') && g.lastElementChild.querySelector('text')"
        " && g.lastElementChild.children.length === 1 && g.querySelectorAll('use').length === 1)"
        ".map((g) => { const use = g.querySelector('use'), text = g.querySelector('text');"
        " const y = text.style.textAnchor === 'end';"
        " const at = y ? ['top', 'height'] : ['left', 'width'];"
        " return [y, Math.abs(middle(use, ...at) - middle(text, ...at))]})"
    )
    assert {y for y, _ in gaps} == {True, False}
    assert max(gap for _, gap in gaps) < 2.5


@pytest.mark.slow
def test_each_section_of_lines_has_one_key_and_plots_have_none(
    chromium: Any, pages: dict[str, Path]
) -> None:
    look(chromium, pages["stable"])
    for section in LINES:
        keys, words = chromium.execute_script(
            "const s = document.getElementById(arguments[0]);"
            "return [[...s.querySelectorAll('.key')].map((e) => e.textContent),"
            " [...s.querySelectorAll('svg text')].map((e) => e.textContent)]",
            section,
        )
        assert len(keys) == 1
        assert "imp" in keys[0]
        assert "reinit (control)" in keys[0]
        assert ("dense" in keys[0]) == (section == "stability")
        assert not {"imp", "reinit", "dense"} & set(words)


@pytest.mark.slow
def test_a_finder_and_its_controls_look_different_and_the_same_everywhere(
    chromium: Any, pages: dict[str, Path], controls: Store
) -> None:
    look(chromium, pages["controls"])
    keys = chromium.execute_script(
        "return [...document.querySelectorAll('.key')].map((k) => [...k.children].map((e) => {"
        " const s = e.firstElementChild; return [e.textContent.slice(s.textContent.length),"
        " s.textContent, getComputedStyle(s).color]}))"
    )
    assert len(keys) == 4
    assert all(key == keys[0] for key in keys)
    (imp, _, colour), *others = keys[0]
    assert imp == "imp"
    assert len(others) == 8
    assert all(name.endswith(" (control)") for name, *_ in others)
    assert colour not in [own for _, _, own in others]
    assert len({(one, own) for _, one, own in keys[0]}) == 9
    # The lines are drawn in the colours of the key.
    strokes = chromium.execute_script(
        "return [...document.querySelectorAll('#accuracy svg use')].filter((e) => e.closest('svg')"
        " && !e.style.strokeWidth && e.style.stroke).map((e) => getComputedStyle(e).stroke)"
    )
    assert set(strokes) == {own for _, _, own in keys[0]}
    made = Report(StudyRecord.read(controls), controls)
    hues = [style.COLOURS.index(style.style_of(curve.position)[0]) % 4 for curve in made.curves]
    assert hues[0] not in hues[1:]


@pytest.mark.slow
def test_points_and_cells_say_their_values_to_pointer_and_keys(
    chromium: Any, pages: dict[str, Path]
) -> None:
    look(chromium, pages["small"], width=390)
    spots = chromium.execute_script(
        "return [...document.querySelectorAll('figure svg')].map((e) => e.tabIndex)"
    )
    assert set(spots) == {0}
    told = "const t = document.querySelector('.tip'); return t.hidden ? '' : t.textContent"
    point = chromium.find_elements("css selector", "#accuracy svg:first-of-type use")[-1]
    ActionChains(chromium).move_to_element(point).perform()
    said = chromium.execute_script(told)
    assert re.fullmatch(r"\w+: [\d.]+% ± [\d.]+ at density [\d.]+%, 3 seeds", said)
    box = chromium.execute_script(
        "const r = document.querySelector('.tip').getBoundingClientRect(); return [r.left, r.right]"
    )
    assert 0 <= box[0] < box[1] <= 390
    cell = chromium.find_element("css selector", "#layers rect[data-rows]")
    ActionChains(chromium).move_to_element(cell).perform()
    assert re.fullmatch(r"\w+/kernel, level \d: [\d.]+% density", chromium.execute_script(told))
    plot = chromium.find_element("css selector", "#cost svg")
    # No plot passes below the pointer while the keys are pressed.
    chromium.execute_script("document.documentElement.style.scrollBehavior = 'auto'")
    ActionChains(chromium).move_to_element(chromium.find_element("css selector", "h1")).perform()
    chromium.execute_script("arguments[0].focus({preventScroll: true})", plot)
    seen = []
    for key in (Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_LEFT, Keys.ESCAPE):
        ActionChains(chromium).send_keys(key).perform()
        seen.append(chromium.execute_script(told))
    assert seen[0] == seen[2] != seen[1]
    assert seen[1].startswith("imp: ")
    assert "steps at density" in seen[1]
    assert seen[3] == ""
    assert chromium.execute_script("return document.documentElement.scrollWidth") <= 390
    assert chromium.get_log("browser") == []


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_units_of_a_wiring_say_their_weights_and_the_dead_are_grey(
    chromium: Any, pages: dict[str, Path], width: int, scheme: str
) -> None:
    look(chromium, pages["small"], width=width, scheme=scheme)
    plots = chromium.execute_script(
        "return [...document.querySelectorAll('#layers h3 ~ .plots svg')].map((svg) => {"
        " const box = svg.getBoundingClientRect();"
        " return [...svg.querySelectorAll('use, text')].every((e) => {"
        "  const own = e.getBoundingClientRect();"
        "  return own.left >= box.left && own.right <= box.right && own.bottom <= box.bottom})})"
    )
    assert 1 < len(plots) <= 6
    assert all(plots)
    colours = chromium.execute_script(
        "return [...document.querySelectorAll('#layers h3 ~ .plots use')].map((e) =>"
        " getComputedStyle(e).fill)"
    )
    ink, grey = chromium.execute_script(
        "return ['--ink', '--line'].map((name) => {"
        " document.body.style.fill = `var(${name})`;"
        " const own = getComputedStyle(document.body).fill;"
        " document.body.style.fill = ''; return own})"
    )
    assert set(colours) == {ink, grey}
    dead = colours.index(grey)
    told = "const t = document.querySelector('.tip'); return t.hidden ? '' : t.textContent"
    for number, word in ((0, r"inputs \d+: \d+ out"), (dead, r"\w+ \d+: (\d+ in, )?\d+ out, dead")):
        dot = chromium.find_elements("css selector", "#layers h3 ~ .plots use")[number]
        ActionChains(chromium).move_to_element(dot).perform()
        assert re.fullmatch(word, chromium.execute_script(told))
    assert chromium.get_log("browser") == []


def luminance(colour: str) -> float:
    shares = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    red, green, blue = (s / 12.92 if s <= 0.04 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_colours_have_the_contrast_that_wcag_asks_for_in_light_and_dark() -> None:
    css = resources.files("ltx.reporting").joinpath("page.css").read_text()
    found = re.findall(r"--(\w+): (#[0-9a-f]{6})", css)
    schemes = [dict(found[: len(found) // 2]), dict(found[len(found) // 2 :])]
    for scheme in schemes:
        assert {"paper", "ink", "soft", "c0", "c5", "t0", "t5"} <= set(scheme)
        for ground in ("paper", "wash"):
            for name, colour in scheme.items():
                pair = sorted(luminance(c) + 0.05 for c in (scheme[ground], colour))
                contrast = pair[1] / pair[0]
                if name[0] == "t" or name in ("ink", "soft"):
                    assert contrast >= 4.5, (name, ground)
                elif name[0] == "c" and ground == "paper":
                    assert contrast >= 3, name
