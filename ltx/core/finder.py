"""Finder: a frozen dataclass with one method, `find(lab)`, that yields tickets."""

import abc
from collections.abc import Generator, Iterable, Iterator, Mapping
from typing import ClassVar

from ltx.core import seal
from ltx.core.errors import UsageError, shown
from ltx.core.lab import Lab
from ltx.core.ticket import Ticket


class Finder(abc.ABC):
    """Finds tickets with a lab.

    A finder is a frozen dataclass: its fields are its settings, bound by gin. It never sees a
    Keras variable, a file or the test split, and needs no resume code: every training of the lab
    is cached. It yields tickets of falling density, the dense network first where it has trained
    it. A `control` is a finder that is expected not to win. `waived` names the checks
    of `ltx check` that a finder fails by design, each with the reason.
    """

    control: ClassVar[bool] = False
    waived: ClassVar[Mapping[str, str]] = {}

    @abc.abstractmethod
    def find(self, lab: Lab) -> Iterator[Ticket]:
        """Yield each ticket as soon as it is found."""

    def check(self, lab: Lab) -> None:  # noqa: B027 (optional: most finders have nothing to check)
        """Raise UsageError, before any training, where these settings cannot work on this lab."""

    @classmethod
    def example(cls, of: "Finder") -> "Finder":
        """The finder as `ltx check` tries it, in a training of 60 steps with 10 to the epoch.

        `of` is for finders that build on another. By default all settings are the defaults.
        """
        del of
        return cls()


def search(finder: Finder, lab: Lab) -> Generator[Ticket, None, None]:
    """The finder's tickets; test data and results are closed to it while it works on each.

    Raises UsageError where `find` returns no iterable, or yields anything but tickets.
    """
    name, end = type(finder).__name__, object()
    with seal.closed():
        found = finder.find(lab)
    if not isinstance(found, Iterable):
        raise UsageError(
            f"{name}.find: expected tickets, each given by `yield`, got {shown(found)}"
        )
    tickets = iter(found)
    while True:
        with seal.closed():
            ticket = next(tickets, end)
        if ticket is end:
            return
        if not isinstance(ticket, Ticket):
            raise UsageError(
                f"{name}.find: expected tickets, as of ltx.Ticket.of(...), got {shown(ticket)}"
            )
        yield ticket


def require_finder(of: "Finder | None", owner: str) -> "Finder":
    """The finder that `owner` builds on, or the error that says how to give it one."""
    if not isinstance(of, Finder):
        raise UsageError(f"{owner}.of: expected a finder, as in {owner}.of = @imp(), got {of!r}")
    return of


def is_finder(cls: object) -> bool:
    """Whether a plugin's object keeps the form of the contract."""
    return (
        isinstance(cls, type)
        and issubclass(cls, Finder)
        and "__dataclass_fields__" in vars(cls)
        and bool(vars(cls)["__dataclass_params__"].frozen)
    )
