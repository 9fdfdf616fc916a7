"""Write a distribution with one finder, ready to be filled in: module, tests, study, README.

python tools/new_finder.py movers --into ~/finders
"""

import argparse
import importlib.util
import keyword
import re
import string
import sys
from pathlib import Path

from ltx.config import plugins
from ltx.core.errors import UsageError

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = Path(__file__).resolve().parent / "finder_template"


def main(argv: list[str] | None = None) -> int:
    """Write the distribution; return 2 if the name or the folder cannot be used."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("name", help="the name of the finder in gin, as in early_rewind")
    parser.add_argument("--into", default=".", metavar="DIR", help="where to create its folder")
    options = parser.parse_args(argv)
    try:
        folder = write(options.name, Path(options.into))
    except UsageError as error:
        print(f"new_finder: error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"wrote {folder}; its README says how to install, test and run it")
    return 0


def write(name: str, into: Path) -> Path:
    """Write the distribution of the finder `name` in a new folder and return the folder."""
    words = _words(name)
    folder = into.expanduser().resolve() / f"ltx-{'-'.join(words)}"
    if folder.is_relative_to(ROOT):
        raise UsageError(
            f"{folder} is within ltx itself; choose another folder, as in --into ~/finders"
        )
    if folder.exists():
        raise UsageError(f"{folder} exists already; remove it, or choose another --into")
    names = {
        "name": name,
        "module": f"ltx_{name}",
        "distribution": folder.name,
        "cls": "".join(word.capitalize() for word in words),
        "words": " ".join(words).capitalize(),
    }
    for source in sorted(TEMPLATE.rglob("*")):
        if source.is_file():
            inside = str(source.relative_to(TEMPLATE)).removesuffix(".in")
            target = folder / inside.replace("module", names["module"])
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(string.Template(source.read_text()).substitute(names))
    return folder


def _words(name: str) -> list[str]:
    """The words of a name that is valid in gin, in Python and for the package index."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or keyword.iskeyword(name):
        raise UsageError(f"{name!r}: expected lower-case words, as in early_rewind, no keyword")
    if taken := plugins.entries().get(name):
        by = taken[0].dist.name if taken[0].dist else "an unknown distribution"
        raise UsageError(f"{name!r} is offered by {by} already; see `ltx plugins`")
    if importlib.util.find_spec(f"ltx_{name}"):
        raise UsageError(f"a module ltx_{name} is installed already; choose another name")
    return name.split("_")


if __name__ == "__main__":
    sys.exit(main())
