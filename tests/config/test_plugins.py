"""Registry: real distributions on the path, good, broken, clashing and not finders at all."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ltx import UsageError
from ltx.config import bindings, gin_files, plugins

GOOD = """
import dataclasses
import ltx

@dataclasses.dataclass(frozen=True)
class Mine(ltx.Finder):
    levels: int = 3

    def find(self, lab):
        yield ltx.Ticket.of(lab, lab.dense(), lab.init())
"""
NO_FIND = GOOD.partition("    def find")[0]
THAWED = GOOD.replace("(frozen=True)", "")
FOREIGN = GOOD.replace("(ltx.Finder)", "")

Install = Callable[..., str]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Puts a distribution with one finder on the path and returns the finder's name."""
    clear()

    def add(
        code: str,
        name: str,
        distribution: str = "ltx-guest",
        target: str = "Mine",
        group: str = "ltx.finders",
    ) -> str:
        folder = tmp_path / distribution
        # A name of its own for every test: Python keeps the modules that it has imported.
        module = f"{distribution.replace('-', '_')}_{tmp_path.name}"
        info = folder / f"{distribution.replace('-', '_')}-1.2.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n"
        )
        (info / "entry_points.txt").write_text(
            f"[{group}]\n{name} = {module}:{target}\n", encoding="utf-8"
        )
        (folder / f"{module}.py").write_text(code)
        monkeypatch.syspath_prepend(folder)
        clear()
        return name

    yield add
    monkeypatch.undo()
    clear()


def clear() -> None:
    for cached in (plugins.entries, plugins._reason, plugins._register, plugins.selector):
        cached.cache_clear()


def status(name: str) -> str:
    return next(plugin.status for plugin in plugins.plugins() if plugin.name == name)


def test_the_first_party_comes_by_the_public_door() -> None:
    found = {plugin.name: plugin for plugin in plugins.plugins()}
    assert {"imp", "early_rewind", "random_reinit", "transfer"} <= found.keys()
    assert found["imp"].target == "ltx_plugins.imp:IMP"
    assert (found["imp"].distribution, found["imp"].status) == ("ltx-lottery", "ok")


def test_a_guests_finder_is_one_like_any_other(install: Install) -> None:
    name = install(GOOD, "guest_good")
    assert status(name) == "ok"
    assert plugins.load(name)(levels=2).levels == 2
    assert plugins.load(name) is plugins.load(name)
    plugin = next(p for p in plugins.plugins() if p.name == name)
    assert (plugin.distribution, plugin.version) == ("ltx-guest", "1.2")


@pytest.mark.parametrize(
    ("code", "target", "reason"),
    [
        ("import no_such_module_anywhere", "Mine", "ModuleNotFoundError"),
        ("def broken(:", "Mine", "SyntaxError"),
        ("raise RuntimeError('two\\nlines')", "Mine", "RuntimeError: two lines"),
        (GOOD, "Yours", "AttributeError"),
        (THAWED, "Mine", "not a frozen dataclass"),
        (FOREIGN, "Mine", "derives from ltx.Finder"),
        ("Mine = 3", "Mine", "not a frozen dataclass"),
        (NO_FIND, "Mine", "does not implement find"),
        ("raise SystemExit(3)", "Mine", "SystemExit"),
    ],
)
def test_a_broken_one_is_listed_with_its_reason_and_stops_nobody(
    install: Install, code: str, target: str, reason: str
) -> None:
    name = install(code, "guest_broken", target=target)
    assert reason in status(name)
    assert status(name).startswith("broken: ")
    assert "\n" not in status(name)
    assert status("imp") == "ok"
    assert plugins.load("imp")
    with pytest.raises(UsageError, match=r"'guest_broken' of ltx-guest 1\.2 is broken: "):
        plugins.load(name)


def test_of_a_name_claimed_twice_either_can_be_named(install: Install) -> None:
    install(GOOD, "guest_twice", "ltx-one")
    install(GOOD.replace("levels: int = 3", "levels: int = 5"), "guest_twice", "ltx-two")
    with pytest.raises(UsageError, match=r"claimed twice.*ltx-(one|two) 1\.2.*ltx-(one|two) 1\.2"):
        plugins.load("guest_twice")
    assert plugins.load("ltx-one:guest_twice")().levels == 3
    assert plugins.load("ltx-two:guest_twice")().levels == 5
    params = ["Study.finders = {'a': @ltx_one.guest_twice(), 'b': @ltx_two.guest_twice()}"]
    study = gin_files.load([], [*params, "ltx_two.guest_twice.levels = 7"]).study
    assert [finder.levels for finder in study.finders.values()] == [3, 7]  # type: ignore[attr-defined]
    built = gin_files.build("ltx-two:guest_twice", params=["ltx_two.guest_twice.levels = 2"])
    assert built.levels == 2  # type: ignore[attr-defined]
    name, lines = bindings.bindings(built)
    assert name.endswith("/ltx_two.guest_twice")
    assert gin_files.build(name, params=lines) == built
    with pytest.raises(UsageError, match="claimed twice"):
        gin_files.load([], ["Study.finders = {'a': @guest_twice()}"])
    with pytest.raises(UsageError, match="did you mean guest_twice"):
        plugins.load("ltx-three:guest_twice")


def test_a_name_claimed_twice_stops_nobody_who_does_not_use_it(install: Install) -> None:
    install(GOOD, "guest_same", "ltx-one")
    install(GOOD, "guest_same", "ltx-two")
    assert sorted(p.status for p in plugins.plugins() if p.name == "guest_same") == [
        f"broken: claimed by 2 distributions; name this one ltx-{n}:guest_same (in a gin file"
        f" @ltx_{n}.guest_same())"
        for n in ("one", "two")
    ]
    assert plugins.load("imp")
    assert status("imp") == "ok"


@pytest.mark.parametrize("name", ["my-finder", "1st", "my.finder", "my finder", "\u00fcber"])
def test_a_name_that_gin_cannot_write_is_listed_as_such(install: Install, name: str) -> None:
    install(GOOD, name)
    assert status(name).startswith(f"broken: no gin file can name {name!r}; call the entry point")
    with pytest.raises(UsageError, match="no gin file can name"):
        plugins.load(f"ltx-guest:{name}")


# In a process of its own: gin forgets no name, and this one is of ltx.
SHADOW = """
from ltx.config import gin_files, plugins
(mine,) = [p for p in plugins.plugins() if p.name == "Magnitude" and p.distribution == "ltx-guest"]
assert "Magnitude is the one of ltx; name this one ltx-guest:Magnitude" in mine.status, mine
params = ["Study.finders = {'a': @imp(), 'b': @b/imp()}", "b/imp.score = @ltx_guest.Magnitude()"]
params += ["imp.score = @Magnitude()", "ltx_guest.Magnitude.power = 3.0"]
a, b = gin_files.load([], params).study.finders.values()
assert type(a.score).__module__.startswith("ltx."), a
assert b.score.power == 3.0, b
"""


def test_a_score_named_like_one_of_ltx_is_listed_and_can_be_used(
    install: Install, tmp_path: Path
) -> None:
    install(SCORE, "Magnitude", group="ltx.scores")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "ltx-guest")}
    done = subprocess.run(
        [sys.executable, "-c", SHADOW], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_scores_and_trackers_of_ltx_are_listed() -> None:
    found = {(plugin.kind, plugin.name): plugin for plugin in plugins.plugins()}
    for name in ("Magnitude", "Snip", "Synflow", "Random", "BatchNormScale"):
        assert found["score", name].distribution == "ltx-lottery"
    for name in ("csv", "tensorboard"):
        assert found["tracker", name].status == "ok"


SCORE = """
import dataclasses

@dataclasses.dataclass(frozen=True)
class Mine:
    power: float = 2.0

    def __call__(self, lab, state, mask):
        return {name: abs(state.weights[name]) ** self.power for name in mask}
"""


def test_a_guests_score_is_bound_by_its_name(install: Install) -> None:
    name = install(SCORE, "guest_score", group="ltx.scores")
    assert status(name) == "ok"
    params = ["Study.finders = {'a': @imp()}", f"imp.score = @{name}()", f"{name}.power = 3.0"]
    score = gin_files.load([], params).study.finders["a"].score  # type: ignore[attr-defined]
    assert score.power == 3.0


def test_a_finder_and_a_score_of_one_name_are_told_apart(install: Install, tmp_path: Path) -> None:
    both = GOOD + SCORE.replace("class Mine:", "class Worth:")
    name = install(both, "guest_double")
    [points] = tmp_path.glob("ltx-guest/*.dist-info/entry_points.txt")
    text = points.read_text()
    points.write_text(text + text.replace("finders", "scores").replace(":Mine", ":Worth"))
    clear()
    with pytest.raises(
        UsageError, match=r"claimed twice, by the finder of ltx-guest 1\.2 and the sc"
    ):
        plugins.load(name)
    finder = plugins.load(f"ltx.finders.ltx_guest.{name}")
    score = plugins.load(f"ltx.scores.ltx_guest.{name}")
    assert (finder.__name__, score.__name__) == ("Mine", "Worth")
    listed = [plugin.status for plugin in plugins.plugins() if plugin.name == name]
    assert all("broken: claimed by a finder and a score; name this one" in one for one in listed)
    assert f"@ltx.scores.ltx_guest.{name}()" in listed[1]
    params = ["Study.finders = {'a': @imp()}", f"imp.score = @ltx.scores.ltx_guest.{name}()"]
    assert type(gin_files.load([], params).study.finders["a"].score) is score  # type: ignore[attr-defined]
    assert gin_files.build(*bindings_of(score(3.0))) == score(3.0)


def bindings_of(value: object) -> tuple[str, list[str], list[str]]:
    name, lines = bindings.bindings(value)
    return name, [], lines


def test_a_score_that_cannot_be_called_is_broken(install: Install) -> None:
    name = install(SCORE.replace("__call__", "call"), "guest_mute", group="ltx.scores")
    assert "is not a dataclass with a __call__ method" in status(name)


def test_nobody_takes_a_first_party_name(install: Install) -> None:
    install(GOOD, "imp")
    with pytest.raises(UsageError, match=r"'imp' is claimed twice"):
        plugins.load("imp")


def test_an_unknown_name_shows_the_close_ones() -> None:
    with pytest.raises(UsageError, match=r"did you mean early_rewind.*\?.*Known: .*imp.*plugins"):
        plugins.load("early_rewnd")


def test_listing_names_loads_no_plugin() -> None:
    code = "import sys; from ltx.config import plugins; plugins.entries(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "ltx.config.plugins" in done.stdout.split()
    assert "ltx_plugins" not in done.stdout.split()
