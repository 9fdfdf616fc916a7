"""Config: gin files and bindings, which may run no code, made into one Study and one Engine."""

import contextlib
import dataclasses
import importlib.util
import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import gin

from ltx import registry
from ltx.engine import Engine
from ltx.errors import LtxError, UsageError, unknown
from ltx.pruning import Pruning
from ltx.recipe import Recipe
from ltx.scores import Magnitude, Random
from ltx.study import Study
from ltx.task import Task

CORE = {cls.__name__: cls for cls in (Study, Task, Recipe, Engine, Pruning, Magnitude, Random)}
for _cls in CORE.values():
    gin.register(_cls.__name__, module="ltx")(_cls)

_COMMENT = re.compile(r"#.*")
_CODE = re.compile(r"^\s*(import|from)\s", re.MULTILINE)
_INCLUDE = re.compile(r"""^\s*include\s+['"](.+?)['"]""", re.MULTILINE)
_REFERENCE = re.compile(r"@(?:[\w.]+/)*([\w.]+)")
_BINDING = re.compile(r"^\s*(?:[\w.]+/)*([\w.]+)\.(\w+)\s*=", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Config:
    """What a command line asks for; `text` is all of it as one gin file."""

    study: Study
    engine: Engine
    text: str


def load(files: Sequence[str], params: Sequence[str] = (), allow_imports: bool = False) -> Config:
    """Parse gin files, then bindings; every name in them is known before any is used."""
    gin.clear_config()
    paths = [_resolve(file) for file in files]
    for text, where in [*_texts(paths), *((param, f"--gin_param {param}") for param in params)]:
        _check(text, where, allow_imports)
    for path in paths:
        gin.add_config_file_search_path(str(path.parent))
    for folder in _shipped():
        gin.add_config_file_search_path(str(folder))
    with _translated():
        gin.parse_config_files_and_bindings(
            [str(path) for path in paths], list(params), finalize_config=True
        )
        return Config(
            gin.get_configurable("ltx.Study")(),
            gin.get_configurable("ltx.Engine")(),
            gin.config_str(),
        )


def _shipped() -> list[Path]:
    """The folder of the configurations that come with ltx."""
    spec = importlib.util.find_spec("ltx_configs")
    return [Path(p) for p in spec.submodule_search_locations or ()] if spec else []


def _resolve(file: str, beside: Path | None = None) -> Path:
    places = [Path(file), *([beside / file] if beside else []), *(p / file for p in _shipped())]
    for path in places:
        if path.is_file():
            return path
    raise UsageError(f"gin file {file!r}: not found in {', '.join(str(p.parent) for p in places)}")


def _texts(paths: Sequence[Path]) -> Iterator[tuple[str, str]]:
    """The text and the name of every file and of all that they include."""
    waiting, seen = list(paths), set()
    while waiting:
        path = waiting.pop(0)
        if path in seen:
            continue
        seen.add(path)
        text = _COMMENT.sub("", path.read_text())
        yield text, str(path)
        waiting += [_resolve(included, path.parent) for included in _INCLUDE.findall(text)]


def _check(text: str, where: str, allow_imports: bool) -> None:
    """Refuse code and unknown names, and load the plugins that are named."""
    if not allow_imports and (code := _CODE.search(text)):
        line = text[code.start() :].strip().splitlines()[0]
        raise UsageError(
            f"{where}: {line!r} would run code from a configuration; if you trust it,"
            " pass --allow_gin_imports"
        )
    names = [name.split(".")[-1] for name in _REFERENCE.findall(text)]
    for name, field in _BINDING.findall(text):
        names.append(name.split(".")[-1])
        _check_field(names[-1], field, where, allow_imports)
    for name in names:
        _class(name, where, allow_imports)


def _class(name: str, where: str, allow_imports: bool) -> type | None:
    if name in CORE:
        return CORE[name]
    if name in registry.entries():
        return registry.load(name)
    if allow_imports or name == "gin":
        return None
    raise unknown("name", name, [*CORE, *registry.entries()], f"In {where}; see `ltx plugins`.")


def _check_field(name: str, field: str, where: str, allow_imports: bool) -> None:
    cls = _class(name, where, allow_imports)
    if cls is not None:
        fields = [f.name for f in dataclasses.fields(cls) if f.init]
        if field not in fields:
            raise unknown(f"parameter of {name}", field, fields, f"In {where}.")


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Turn gin's many-line errors into one line."""
    logging.disable(logging.ERROR)  # gin reports every folder in which it does not find a file
    try:
        yield
    except LtxError as error:
        raise type(error).__mro__[1](str(error).split("\n", maxsplit=1)[0]) from None
    except (
        ValueError,
        KeyError,
        TypeError,
        SyntaxError,
        OSError,
        RuntimeError,
        AttributeError,
    ) as error:
        # Python's own complaint about a token names objects in memory; gin's, behind it, the token.
        text = re.sub(r"malformed node or string.*?(?=Failed to parse)", "", str(error))
        text = " ".join(text.split())
        raise UsageError(f"configuration: {text}") from error
    finally:
        logging.disable(logging.NOTSET)
