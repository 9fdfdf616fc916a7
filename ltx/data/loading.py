"""Loading: a task's data set by name, from this disk and never from the network."""

import dataclasses
import functools
import inspect
import re
from importlib import metadata

from ltx.core import seal, trust
from ltx.core.errors import LtxError, UsageError, describe, unknown
from ltx.core.validation import warn_once
from ltx.data import images, tfds
from ltx.data.arrays import Arrays, Loader, make_dataset
from ltx.data.dataset import Dataset, DataSpec, Image
from ltx.data.split import Split

GROUP = "ltx.datasets"
_GIVEN = ("argument", "image", "fit", "data_dir")  # what a loader gets that names it


def load(
    name: str,
    *,
    image: Image | None = None,
    fit: str = "resize",
    validation: int | float = 0.1,
    split_seed: int = 0,
    subset: int | float = 1.0,
    corrupt: str = "none",
    classes: tuple[int, ...] = (),
    test: int | float = 0,
    data_args: dict[str, object] | None = None,
    preprocessing: dict[str, object] | None = None,
    data_dir: str | None = None,
) -> Dataset:
    """Load the data set `name` from this disk; the network is never used.

    `name` is one of TFDS, one that a plugin offers, or a scheme with an argument, as in
    "arrays:FILE.npz". `image` converts every image to (height, width, channels): "resize" is
    bilinear with antialiasing, "pad" centres in black or crops the centre, grey is repeated to
    colour, colour becomes its ITU-R 601 luma. `validation` is the number (int) or fraction (float)
    of training examples to hold out by `split_seed`, `test` that of all examples where the set has
    no test split. A set of TFDS without labelled test images is tested on its own "validation"
    split. All other settings are those of a Task. While a finder searches, the test split of the
    result is refused.
    """
    spec = DataSpec(
        *(name, image, fit, validation, split_seed, subset, corrupt, classes, test),
        data_args or {},
        preprocessing or {},
    )
    return load_spec(spec, data_dir)


def load_spec(spec: DataSpec, data_dir: str | None = None) -> Dataset:
    """`load` with all settings in one value."""
    if arrays := _arrays(spec, data_dir):
        made = make_dataset(spec, arrays)
        for note in made.notes:
            warn_once(f"data set {spec.data!r}: {note}")
        return made
    _check_tfds_only(spec)
    return images.make_splits(spec, tfds.raw(spec, data_dir))


def load_test(spec: DataSpec, data_dir: str | None = None) -> Split:
    """The test split alone; UsageError while a finder searches."""
    seal.require_open(f"test split of {spec.data!r}")
    if arrays := _arrays(spec, data_dir):
        return make_dataset(spec, arrays).test
    return images.test_split(spec, tfds.raw(spec, data_dir))


def _check_tfds_only(spec: DataSpec) -> None:
    for field in ("test", "data_args", "preprocessing"):
        if getattr(spec, field):
            raise UsageError(f"Task.{field}: an image set of TFDS, {spec.data!r}, has none")


@functools.cache
def loaders() -> dict[str, list[metadata.EntryPoint]]:
    """The entry points of each name, not loaded."""
    found: dict[str, dict[str, metadata.EntryPoint]] = {}
    for entry in metadata.entry_points(group=GROUP):
        found.setdefault(entry.name, {}).setdefault(entry.value, entry)
    return {name: list(same.values()) for name, same in found.items()}


def _arrays(spec: DataSpec, data_dir: str | None) -> Arrays | None:
    """What the loader of this name returns; None for a set of TFDS.

    A loader with a parameter `argument` gets what follows the colon of its name, one with
    `data_dir` the folder of data sets, one with `image` and `fit` those of the task.
    """
    if trust.is_function(spec.data):
        name, loader, argument = spec.data, trust.imported("data set", spec.data), None
    else:
        name, entry, argument = _entry(spec.data)
        if entry is None and "target" in spec.data_args:
            name, entry, argument = _entry(f"tfds:{spec.data}")
        if entry is None:
            return None
        loader = _loaded(name, entry)
    return _called(spec, loader, _arguments(spec, name, loader, argument, data_dir))


def _entry(data: str) -> tuple[str, metadata.EntryPoint | None, str | None]:
    """The name, the entry point and the argument of `name`, `name:argument` or either after
    `distribution:`; UsageError for a scheme that does not exist or is offered twice."""
    scheme, _, rest = data.partition(":")
    if scheme in loaders():
        same = loaders()[scheme]
        if len(same) > 1:
            each = " or ".join(f"{_distribution(entry)}:{data}" for entry in same)
            raise UsageError(f"data set {scheme!r} is offered {len(same)} times; name one: {each}")
        return scheme, same[0], rest or None
    name, _, argument = rest.partition(":")
    for entry in loaders().get(name, ()):
        if _distribution(entry) == scheme:
            return name, entry, argument or None
    if rest and not re.fullmatch(r"[0-9.]+", rest):
        raise unknown("scheme of a data set", scheme, loaders(), "See `ltx data list`.")
    return data, None, None


def _distribution(entry: metadata.EntryPoint) -> str:
    return entry.dist.name if entry.dist else "unknown"


def _arguments(
    spec: DataSpec, name: str, loader: Loader, argument: str | None, data_dir: str | None
) -> dict[str, object]:
    """What the loader is called with; UsageError for what it does not take or lacks."""
    arguments = dict(spec.data_args)
    signature = inspect.signature(loader)
    parameters = signature.parameters
    own = [parameter for parameter in parameters if parameter not in _GIVEN]
    for wrong in arguments:
        if wrong not in own:
            raise unknown(f"argument of data set {name!r} in Task.data_args", wrong, own)
    if "argument" in parameters and argument is None:
        raise UsageError(f"data set {spec.data!r}: expected {name}:WHAT, got no argument")
    if "argument" not in parameters and argument is not None:
        raise UsageError(f"data set {spec.data!r}: {name} takes no argument after a colon")
    given = (argument, spec.image, spec.fit, data_dir)
    arguments |= {k: v for k, v in zip(_GIVEN, given, strict=True) if k in parameters}
    try:
        signature.bind(**arguments)
    except TypeError as error:
        raise UsageError(f"data set {spec.data!r}: Task.data_args: {error}") from error
    return arguments


def _called(spec: DataSpec, loader: Loader, arguments: dict[str, object]) -> Arrays:
    try:
        arrays = loader(**arguments)
    except (LtxError, OSError):
        raise
    except Exception as error:
        package = {loader.__module__.partition(".")[0]}
        raise UsageError(f"data set {spec.data!r}: {describe(error, package)}") from error
    if not isinstance(arrays, Arrays):
        raise UsageError(
            f"data set {spec.data!r}: expected its loader to return ltx.Arrays, got"
            f" {type(arrays).__name__}"
        )
    return arrays


@functools.cache
def _loaded(name: str, entry: metadata.EntryPoint) -> Loader:
    try:
        loader: Loader = entry.load()
    except Exception as error:
        package = {entry.module.partition(".")[0]}
        raise UsageError(f"data set {name!r} is broken: {describe(error, package)}") from error
    return loader


@dataclasses.dataclass(frozen=True)
class Offer:
    """A data set or a scheme that an installed distribution offers, and why it is unusable."""

    name: str
    entry: metadata.EntryPoint
    sentence: str = ""
    reason: str = ""
    takes_argument: bool = False

    @property
    def usage(self) -> str:
        """The name as Task.data has it."""
        return f"{self.name}:..." if self.takes_argument else self.name


def offers() -> list[Offer]:
    """Every entry point of `ltx.datasets`, by name; broken ones are listed, not raised."""
    every = sorted(loaders().items())
    return [_offer(name, entry, len(same)) for name, same in every for entry in same]


def _offer(name: str, entry: metadata.EntryPoint, offered: int) -> Offer:
    if offered > 1:
        reason = f"offered by {offered} distributions; name this one {_distribution(entry)}:{name}"
        return Offer(name, entry, reason=reason)
    if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
        return Offer(name, entry, reason=f"expected a name like {re.sub(r'[^a-z0-9]', '_', name)}")
    try:
        loader = _loaded(name, entry)
    except UsageError as error:
        return Offer(name, entry, reason=str(error).partition(" is broken: ")[2])
    if not callable(loader):
        return Offer(name, entry, reason=f"{entry.value} is no function that returns ltx.Arrays")
    text = (inspect.getdoc(loader) or "").partition("\n\n")[0]
    takes = "argument" in inspect.signature(loader).parameters
    return Offer(name, entry, " ".join(text.replace("`", "").split()), takes_argument=takes)
