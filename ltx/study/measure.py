"""Measure: what a study takes of one ticket, whatever the store has of it read from there."""

from collections.abc import Iterator

from ltx.core.errors import BudgetError, LtxError, StoreFullError
from ltx.core.lab import Lab
from ltx.core.ticket import Ticket
from ltx.evaluation import effective_sparsity
from ltx.evaluation.effective_sparsity import EffectiveSparsity
from ltx.evaluation.instability import Instability, Stability, rewind_points
from ltx.evaluation.trial import Trial
from ltx.store.event_log import Timing, TrialTimed
from ltx.store.store import Store


def connectivity(lab: Lab, ticket: Ticket, store: Store) -> EffectiveSparsity | str | None:
    """What of the ticket's weights is effective, or why nobody can tell; None of a dense mask."""
    known = store.find_manifest(ticket.id)
    return (
        effective_sparsity.measure(lab, ticket.mask)
        if known is None
        else EffectiveSparsity.from_document(known)
    )


def connectivity_warning(ticket: Ticket, found: EffectiveSparsity | None) -> str:
    """What is wrong with a ticket's network before it is trained; "" where nothing is."""
    if found and (text := found.warning()):
        return text
    lost = ", ".join(ticket.mask.empty())
    return lost and f"{lost} lost every weight; no signal passes there"


def trial(lab: Lab, ticket: Ticket, store: Store) -> Trial:
    """The ticket trained to the end, and the seconds of that told to the store's log."""
    key = Trial.key(lab, ticket)
    known = store.trial(key)
    if known is None:
        before = lab.seconds
        known = Trial.run(lab, ticket)
        # First the seconds: a trial that is there is not measured again.
        store.log_event(TrialTimed(key, Timing(ticket.seconds, lab.seconds - before)))
        store.put_trial(known)
    return known


def copies(
    lab: Lab, ticket: Ticket, asked: Stability | None, store: Store
) -> Iterator[tuple[str, Instability | str]]:
    """Each place that copies are trained from, with how far apart they end or why nobody knows.

    One that diverges takes neither the other places nor the other tickets of its cell with it.
    """
    if asked is None:
        return
    for at in rewind_points(lab, ticket, asked):
        found = store.instability(Instability.key(lab, ticket, asked, at))
        if found is None:
            try:
                found = Instability.measure(lab, ticket, asked, at)
            except (StoreFullError, BudgetError):
                raise
            except LtxError as error:
                yield at, f"stability of level {ticket.level} at {at}: {error}"
                continue
            store.put_instability(found)
        yield at, found
