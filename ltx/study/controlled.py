"""Which finders of a study each of its controls controls: those that it holds."""

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping

from ltx.core.finder import Finder
from ltx.core.identity import describe


def controlled(
    settings: Mapping[str, object], controls: Collection[str], classes: Collection[str]
) -> dict[str, tuple[str, ...]]:
    """{label of a control: labels of the finders that it controls}.

    `settings` has every finder's settings as plain data by label, `controls` the labels of the
    controls, `classes` the names of the controls' classes as settings have them. A control controls
    the finder that it holds, by equal settings whatever the label; one that holds another control
    controls what that one does. What it holds is not looked into further: a control of a transfer
    of imp controls that transfer, and not imp.
    """
    subjects = {label: held for label, held in settings.items() if label not in controls}

    def labels(control: object) -> Iterator[str]:
        for held in _held(control):
            if held["is"] in classes:
                yield from labels(held)
            else:
                yield from (label for label, subject in subjects.items() if subject == held)

    return {label: tuple(dict.fromkeys(labels(settings.get(label)))) for label in controls}


def control_classes(finders: Iterable[object]) -> set[str]:
    """The names, as settings have them, of all controls among finders and the ones they hold."""
    names: set[str] = set()
    for finder in finders:
        if isinstance(finder, Finder) and dataclasses.is_dataclass(finder):
            if finder.control:
                names.add(class_name(describe(finder)))
            names |= control_classes(getattr(finder, f.name) for f in dataclasses.fields(finder))
        elif isinstance(finder, list | tuple):
            names |= control_classes(finder)
    return names


def class_name(settings: object) -> str:
    return str(settings.get("is", "")) if isinstance(settings, Mapping) else ""


def _held(settings: object) -> Iterator[Mapping]:
    """The settings of the dataclasses that a finder holds, in whatever field."""
    for value in settings.values() if isinstance(settings, Mapping) else ():
        for one in value if isinstance(value, list) else [value]:
            if class_name(one):
                yield one
