"""Build a Study and an Engine from gin files and bindings, without running code from them."""

import contextlib
import dataclasses
import difflib
import importlib
import importlib.util
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import gin
from gin import config_parser

from ltx.config import plugins
from ltx.config.builtin_classes import CORE
from ltx.core import trust
from ltx.core.engine import Engine
from ltx.core.errors import LtxError, UsageError, place_of, unknown
from ltx.core.task import Task
from ltx.study.definition import Study

for _cls in CORE.values():
    gin.register(_cls.__name__, module="ltx")(_cls)

_EXAMPLES = {
    "Task": "Study.tasks = [@Task()]",
    "Recipe": "Task.recipe = @Recipe()",
    "Stability": "Study.stability = @Stability()",
    "Pruning": "imp.pruning = @Pruning()",
}
# Macros that some binding refers to, even if a later binding overrides that one.
_MACROS: set[str] = set()


@dataclasses.dataclass(frozen=True)
class Config:
    """A configured study; `text` is the whole configuration as one gin file."""

    study: Study
    engine: Engine
    text: str


def load(files: Sequence[str], params: Sequence[str] = (), allow_imports: bool = False) -> Config:
    """Apply gin files, then bindings, in order; the last binding of a name wins."""
    _apply_all(files, params, allow_imports)
    with _translated("configuration"):
        gin.finalize()
        study = gin.get_configurable("ltx.Study")()
        engine = gin.get_configurable("ltx.Engine")()
        _check_all_used()
        for task in study.named.values():  # again where it is imported, but TensorFlow is slow
            if trust.is_path(task.model):
                trust.require("model", task.model)
            if trust.is_function(task.data):
                trust.require("data set", task.data)
        return Config(study, engine, gin.config_str())


def build(
    name: str, files: Sequence[str] = (), params: Sequence[str] = (), allow_imports: bool = False
) -> object:
    """Build the value of `@name()` under gin files and bindings."""
    _apply_all(files, params, allow_imports)
    with _translated("configuration"):
        scope, _, selector = name.rpartition("/")
        selector, _ = _known(selector, "configuration", allow_imports)
        gin.finalize()
        with gin.config_scope(scope or None):
            value = gin.get_configurable(selector)()
        if not files:  # the file of a study has settings of other classes too
            _check_all_used()
        return value


def tasks(
    files: Sequence[str], params: Sequence[str] = (), allow_imports: bool = False
) -> dict[str, Task]:
    """The tasks of a study that gin files and bindings set, else the one Task that they set."""
    _apply_all(files, params, allow_imports)
    with _translated("configuration"):
        gin.finalize()
        settings = gin.config._CONFIG  # gin has no public accessor
        if any(name == "ltx.Study" and "tasks" in bound for (_, name), bound in settings.items()):
            return dict(gin.get_configurable("ltx.Study")().named)
        if ("", "ltx.Task") in settings:
            task = gin.get_configurable("ltx.Task")()
            return {task.label: task}
        return {}


def _apply_all(files: Sequence[str], params: Sequence[str], allow_imports: bool) -> None:
    gin.clear_config()
    _MACROS.clear()
    for file in files:
        _apply_file(_resolve(file), allow_imports)
    for param in params:
        _apply(param, f"--gin_param={param}", Path(), allow_imports)


def _check_all_used() -> None:
    """Refuse a setting that nothing reads, which gin would ignore."""
    used = gin.config._OPERATIVE_CONFIG.keys()  # gin has no public accessor
    for (scope, selector), settings in gin.config._CONFIG.items():
        read = any(
            n == selector and (not scope or f"{s}/".startswith(f"{scope}/")) for s, n in used
        )
        if selector == "gin.macro":
            if scope not in _MACROS:
                raise unknown("macro", scope, _MACROS, f"It is set, but nothing uses %{scope}.")
        elif not read:
            name = selector.rpartition(".")[2]
            raise UsageError(
                f"{name}.{next(iter(settings))} is set, but nothing in the study uses {name}; refer"
                f" to it as {_EXAMPLES.get(name, f'@{name}()')}, or remove the setting"
            )


def _apply_file(path: Path, allow_imports: bool) -> None:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise UsageError(f"gin file {str(path)!r}: cannot be read: {reason}") from error
    _apply(text, str(path), path.parent, allow_imports)


def _apply(text: str, where: str, folder: Path, allow_imports: bool) -> None:
    """Apply the statements of one text.

    gin's own loader would run `import` statements and resolves included files differently, so only
    its parser is used.
    """
    with _translated(where):
        for statement in config_parser.ConfigParser(text, _Delegate(where, allow_imports)):
            if isinstance(statement, config_parser.IncludeStatement):
                _apply_file(_resolve(statement.filename, folder), allow_imports)
            elif isinstance(statement, config_parser.ImportStatement):
                _import(statement, where, allow_imports)
            elif isinstance(statement, config_parser.BindingStatement):
                _bind(statement, where, allow_imports)


def _import(statement: config_parser.ImportStatement, where: str, allow_imports: bool) -> None:
    line = statement.format()
    if not allow_imports:
        raise UsageError(
            f"{where}: {line!r} would run code from a configuration; if you trust it,"
            " pass --allow_gin_imports"
        )
    if statement.module.startswith("__gin__"):
        raise UsageError(f"{where}: {line!r}: register what you need in an imported module instead")
    importlib.import_module(statement.module)


def _bind(statement: config_parser.BindingStatement, where: str, allow_imports: bool) -> None:
    scope, name, field = statement.scope, statement.selector, statement.arg_name
    if not field:  # a macro, `name = value`
        gin.bind_parameter(f"{scope}/{name}/gin.macro.value".lstrip("/"), statement.value)
        return
    selector, cls = _known(name, where, allow_imports)
    if cls is not None:
        fields = [f.name for f in dataclasses.fields(cls) if f.init]
        if field not in fields:
            raise unknown(f"parameter of {name}", field, fields, f"In {where}.")
    gin.bind_parameter(f"{scope}/{selector}.{field}".lstrip("/"), statement.value)


class _Delegate(gin.config.ParserDelegate):
    """Loads the plugin that a reference names, so that gin finds it registered."""

    def __init__(self, where: str, allow_imports: bool) -> None:
        super().__init__()
        self._where, self._allow_imports = where, allow_imports

    def configurable_reference(self, scoped_name: str, evaluate: bool) -> object:
        scope, slash, name = scoped_name.rpartition("/")
        selector, _ = _known(name, self._where, self._allow_imports)
        return super().configurable_reference(f"{scope}{slash}{selector}", evaluate)

    def macro(self, name: str) -> object:
        _MACROS.add(name)
        return super().macro(name)


def _known(name: str, where: str, allow_imports: bool) -> tuple[str, type | None]:
    """What gin calls this name, and its class of ltx or a plugin.

    The class is None if an imported module registered it.
    """
    qualifier, _, short = name.rpartition(".")
    if short in CORE and qualifier in ("", "ltx"):
        # Written out where a plugin of the same name would make it ambiguous.
        return (f"ltx.{short}" if short in plugins.entries() else name), CORE[short]
    if plugins.named(name):
        cls = plugins.load(name)
        return plugins.selector(cls), cls
    if allow_imports or name == "gin.macro":
        return name, None
    raise unknown("name", name, [*CORE, *plugins.entries()], f"In {where}; see `ltx plugins`.")


def _shipped() -> list[Path]:
    """The folders of the configurations that come with ltx."""
    spec = importlib.util.find_spec("ltx_configs")
    return [Path(p) for p in spec.submodule_search_locations or ()] if spec else []


def _resolve(file: str, including: Path = Path()) -> Path:
    """Find a file in the folder of the including one, the current folder or the shipped ones."""
    candidates = [including / file, Path(file), *(folder / file for folder in _shipped())]
    for path in candidates:
        if path.is_file():
            return path
    folders = dict.fromkeys(str(path.parent) for path in candidates)
    text = f"gin file {file!r}: not found in {', '.join(folders)}"
    known = [p.relative_to(root) for root in _shipped() for p in sorted(root.rglob("*.gin"))]
    near = {path.stem: path for path in (*known, *Path(file).parent.glob("*.gin"))}
    if close := difflib.get_close_matches(Path(file).stem, near):
        raise UsageError(f"{text}; did you mean {' or '.join(str(near[n]) for n in close)}?")
    studies = ", ".join(str(path) for path in known if path.parent.name == "studies")
    raise UsageError(f"{text}; ltx comes with {studies}")


@contextlib.contextmanager
def _translated(where: str) -> Iterator[None]:
    """Turn gin's multi-line errors into one line that names the file or the binding."""
    try:
        yield
    except LtxError as error:
        # gin appends a line for every configurable on the way; the first is the message.
        raise UsageError(str(error).split("\n", maxsplit=1)[0]) from error
    except Exception as error:  # gin raises many kinds, and a plugin's class any
        if macro := re.search(r"No bindings specified for '(.*)/gin\.macro'", str(error)):
            raise UsageError(
                f"{where}: %{macro[1]} is used but never set; add {macro[1]} = ... or write"
                " the value itself"
            ) from error
        # Python's message names objects in memory; gin's, which follows it, names the token.
        text = re.sub(r"malformed node or string.*?(?=Failed to parse)", "", str(error))
        if place := place_of(error, plugins.packages()):
            # gin appends the configurables on the way, as above.
            text = f"{type(error).__name__}: {text.partition(chr(10))[0]}{place}"
        raise UsageError(f"{where}: {' '.join(text.split())}") from error
