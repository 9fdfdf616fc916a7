"""Transfer: tickets found on a source task, trained on this lab's task."""

import dataclasses
import logging
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

import ltx

CARRY = ("mask", "init", "rewind", "sign", "shuffled")
HEADS = STEMS = ("fresh", "random", "carry")
# What each carry that removes something promises of mask and weights, as `check_control` names it.
_PROMISES = {
    "mask": ("same", "fresh"),
    "sign": ("same", "sign_kept"),
    "shuffled": ("shuffled", "same"),
}


@dataclasses.dataclass(frozen=True)
class Transfer(ltx.Finder):
    """Transfers another task's tickets to this one.

    Tickets come from `of`, run on the `source`, or from the store at `store`: those of this lab's
    seed and, where several finders left some there, of the one labelled `finder`. The source is a
    data set's name, for this task on all classes of that set with its images converted to this
    task's; or a whole task of any kind of data, objective, classes, optimizer or recipe, whose
    network has the same body. It may be this lab's own task. By name, `data_args`, `preprocessing`
    and `test` are this task's for its own data set alone; another one has none.

    `carry`: "mask", the mask alone with fresh weights; "init", the mask and the source's initial
    weights; "rewind", the mask and the weights of the source's rewind point with their BatchNorm
    statistics; "sign", the mask and fresh weights with the signs of that point's; "shuffled", as
    "rewind" with every transferred layer's mask shuffled. What "mask", "sign" and "shuffled" remove
    is checked and stored with each ticket. Training starts at step 0 with a fresh optimizer. `head`
    is the layer that makes the logits: "fresh" keeps it dense with fresh weights, "random" also
    gives it a random mask of the source's density, "carry" transfers it, which needs as many
    classes. `stem` says the same of the layers that read the inputs. Unless it is "carry", inputs
    may differ: images keep their size, and what else does not fit starts dense with fresh weights
    and is listed. Weights are matched by name, shape and place: head, stem or between them. Costs
    what `of` costs on the source.

    Reference: Morcos et al., One ticket to win them all, https://arxiv.org/abs/1906.02773;
    Zhou et al., Deconstructing Lottery Tickets, https://arxiv.org/abs/1905.01067 (sign);
    Frankle et al., https://arxiv.org/abs/1912.05671 (shuffled)
    """

    of: ltx.Finder | None = None
    source: str | ltx.Task = ""
    store: str = ""
    finder: str = ""
    carry: str = "rewind"
    head: str = "fresh"
    stem: str = "carry"

    def __post_init__(self) -> None:
        ltx.check_choice("transfer.carry", self.carry, CARRY)
        ltx.check_choice("transfer.head", self.head, HEADS)
        ltx.check_choice("transfer.stem", self.stem, STEMS)
        if not isinstance(self.source, str | ltx.Task) or not self.source:
            raise ltx.UsageError(
                "transfer.source: expected the data set or the @Task() that the tickets come from,"
                f" got {self.source!r}"
            )
        if bool(self.store) == (self.of is not None):
            raise ltx.UsageError(
                "transfer: give either `of`, a finder, or `store`, a path with tickets"
            )
        if self.store and self.carry == "init":
            raise ltx.UsageError(
                "transfer.carry: a stored ticket has its rewind state only; use 'rewind'"
            )

    @classmethod
    def example(cls, of: ltx.Finder) -> "Transfer":
        return cls(of=of, source="elsewhere")

    def check(self, lab: ltx.Lab) -> None:
        if self.store:
            self._stored(lab)
            return
        source = self._lab(lab)
        ltx.require_finder(self.of, "transfer").check(source)
        self._fit(lab, source.dense(), source)

    def find(self, lab: ltx.Lab) -> Iterator[ltx.Ticket]:
        if self.store:
            for ticket, task, of in self._stored(lab):
                carried = self._carry(lab, ticket, ticket.state, task, of, None)
                cost, seconds = carried.cost + ticket.cost, carried.seconds + ticket.seconds
                yield dataclasses.replace(carried, cost=cost, seconds=seconds)
            return
        source = self._lab(lab)
        first = source.init()
        for ticket in ltx.require_finder(self.of, "transfer").find(source):
            start = first if self.carry == "init" else ticket.state
            yield self._carry(lab, ticket, start, source.task.id, self.of, source)

    @property
    def _label(self) -> str:
        return self.source if isinstance(self.source, str) else self.source.label

    def _lab(self, lab: ltx.Lab) -> ltx.Lab:
        if isinstance(self.source, ltx.Task):
            task = self.source
            return lab.on(**{f.name: getattr(task, f.name) for f in dataclasses.fields(task)})
        if self.source == lab.task.data:
            return lab.on(classes=())
        own: dict[str, object] = {"data_args": {}, "preprocessing": {}, "test": 0}
        if self.stem != "carry":
            own["image"] = None
        try:
            source = lab.on(data=self.source, classes=(), **own)
            # Without a conversion the source task is the same as in other studies, and is cached.
            same = source.input_shape == lab.input_shape or self.stem != "carry"
            images = len(source.input_shape) == len(lab.input_shape) == 3
            return source.on(image=lab.input_shape) if images and not same else source
        except ltx.UsageError as error:
            raise ltx.UsageError(
                f"transfer.source: {error}; or give the source as a whole task with settings of its"
                " own, as in transfer.source = @source/Task()"
            ) from error

    def _stored(self, lab: ltx.Lab) -> list[tuple[ltx.Ticket, str, object]]:
        """The stored tickets by level, each with its task's id and its finder's settings."""
        store = ltx.Store(self.store, create=False)
        candidates = [
            m for m in store.manifests() if m["seed"] == lab.seed and self._is_source(lab, m)
        ]
        if not candidates:
            raise ltx.UsageError(
                f"transfer.store: {self.store} holds no ticket found on {self._description(lab)};"
                f" see `ltx tickets list --store={self.store}`"
            )
        labels = sorted({manifest["finder"] for manifest in candidates})
        if self.finder and self.finder not in labels:
            raise ltx.UsageError(
                f"transfer.finder: {self.finder!r} left no such ticket in {self.store}; those found"
                f" on {self._label} with seed {lab.seed} are of {', '.join(labels)}"
            )
        # Several finders may have found one ticket, as the dense one at level 0.
        by_id = {m["id"]: m for m in candidates if self.finder in ("", m["finder"])}
        tickets = [
            (store.ticket(id, m["finder"]), str(m["task_id"]), m["finder_settings"])
            for id, m in by_id.items()
        ]
        if len({ticket.level for ticket, _, _ in tickets}) < len(tickets):
            raise ltx.UsageError(
                f"transfer.store: {self.store} holds several tickets of one level, of different"
                f" finders or settings; name one of {', '.join(labels)} in transfer.finder"
            )
        for ticket, _, _ in tickets:
            self._fit(lab, ticket.mask)
        return sorted(tickets, key=lambda one: one[0].level)

    def _is_source(self, lab: ltx.Lab, manifest: dict) -> bool:
        if isinstance(self.source, ltx.Task):
            return manifest["task_id"] == self.source.id
        expected = {"data": self.source, "model": lab.task.model}
        return all(manifest[key] == value for key, value in expected.items()) and not manifest[
            "task"
        ].get("classes")

    def _description(self, lab: ltx.Lab) -> str:
        if isinstance(self.source, ltx.Task):
            return f"{self._label} (task {self.source.id}) with seed {lab.seed}"
        return f"{self._label} with seed {lab.seed} and model {lab.task.model}"

    def _fit(self, lab: ltx.Lab, mask: ltx.Mask, source: ltx.Lab | None = None) -> None:
        """Raise UsageError, before any training, for masks that do not fit this lab's model."""
        if self.stem != "carry" and not lab.stem:
            raise ltx.UsageError(
                f"transfer.stem: {type(lab).__name__} does not say which layers of {lab.task.model}"
                " read the inputs; use 'carry'"
            )
        shapes = {w.name: w.shape for w in lab.prunable if self._is_carried(lab, w.name)}
        there = {name: array.shape for name, array in mask.items()}
        for name, shape in shapes.items():
            got = there.get(name)
            if got != shape and (remedy := self._remedy(lab, name, got)):
                raise ltx.UsageError(
                    f"transfer from {self._label}: {name} is {shape} here and {got} there: {remedy}"
                )
        matched = self._matched(lab, source, shapes, there)
        if not matched and (shapes or self.stem != "carry"):
            raise ltx.UsageError(
                f"transfer from {self._label}: no layer is carried: between head and stem are"
                f" {', '.join(shapes) or 'none'} here, of which none is there in the same shape;"
                " give both tasks models with the same layers between them"
            )

    def _remedy(self, lab: ltx.Lab, name: str, got: tuple[int, ...] | None) -> str:
        """What to do about a weight of another shape; "" where it may stay behind."""
        if name in lab.head:
            return "head='carry' needs as many classes in source and target; use 'fresh'"
        if self.stem != "carry" or (got is None and name not in lab.stem):
            return ""
        return (
            "source and target need the same model and image; set Task.image alike, or give"
            " transfer.stem='fresh', which draws first layers and all that does not fit anew"
        )

    def _is_carried(self, lab: ltx.Lab, name: str) -> bool:
        """Whether the settings carry this weight, which may still lack a match."""
        head = self.head == "carry" or name not in lab.head
        return head and (self.stem == "carry" or name not in lab.stem)

    def _matched(
        self,
        lab: ltx.Lab,
        source: ltx.Lab | None,
        here: dict[str, tuple[int, ...]],
        there: dict[str, tuple[int, ...]],
    ) -> list[str]:
        """The names of the carried weights with the same shape and place in both networks."""
        return [
            name
            for name, shape in here.items()
            if self._is_carried(lab, name)
            and there.get(name) == shape
            and (source is None or _place(source, name) == _place(lab, name))
        ]

    def _carry(
        self,
        lab: ltx.Lab,
        ticket: ltx.Ticket,
        start: ltx.State,
        source_task: str,
        of: object,
        source: ltx.Lab | None,
    ) -> ltx.Ticket:
        # Another stream: lab.init() gives the source's initial weights.
        fresh = lab.init(stream="transfer")
        matched = self._matched(lab, source, _shapes(fresh.weights), _shapes(start.weights))
        body = [w.name for w in lab.prunable if w.name in matched and w.name in ticket.mask]
        body_mask = ltx.Mask({name: ticket.mask[name] for name in body})
        if self.carry == "shuffled":
            body_mask = body_mask.shuffled(lab.rng("transfer", "shuffled", ticket.level))
        mask = {**lab.dense(), **body_mask, **self._random_masks(lab, source or lab, ticket)}
        carried = ltx.Ticket.of(
            lab,
            ltx.Mask(mask),
            self._state(fresh, start, matched, body),
            level=ticket.level,
            parent=ticket,
            source=self._label,
            source_task=source_task,
            source_density=ticket.density,
            carry=self.carry,
            head=self.head,
            of=of,
        )
        more = {"stem": self.stem} if self.stem != "carry" else {}
        note = carried.note | more | self._unmatched(lab, source or lab, matched, fresh, start)
        return self._checked(ticket, dataclasses.replace(carried, note=note), body)

    def _state(
        self, fresh: ltx.State, start: ltx.State, matched: list[str], body: list[str]
    ) -> ltx.State:
        """The fresh state with what is carried of the source's."""
        weights, statistics = dict(fresh.weights), dict(fresh.statistics)
        if self.carry == "sign":
            for name in body:
                weights[name] = np.copysign(np.abs(weights[name]), start.weights[name])
        elif self.carry != "mask":
            weights.update({name: start.weights[name] for name in matched})
        if self.carry in ("rewind", "shuffled"):
            shapes = _shapes(fresh.statistics)
            same = {n: a for n, a in start.statistics.items() if shapes.get(n) == a.shape}
            statistics.update(same)
        return ltx.State(weights, statistics)

    def _random_masks(
        self, lab: ltx.Lab, source: ltx.Lab, ticket: ltx.Ticket
    ) -> dict[str, np.ndarray]:
        """Masks of a random head and stem, as dense as those of the source."""
        dense, masks = lab.dense(), {}
        for place, how in (("stem", self.stem), ("head", self.head)):
            for name in (n for n in getattr(lab, place) if how == "random" and n in dense):
                density = _density(ticket, getattr(source, place))
                masks[name] = _random_mask(lab, place, name, dense[name].shape, density)
        return masks

    def _unmatched(
        self,
        lab: ltx.Lab,
        source: ltx.Lab,
        matched: list[str],
        fresh: ltx.State,
        start: ltx.State,
    ) -> dict[str, object]:
        """A ticket's note on the weights that found no match, which is logged; {} without any."""
        lists = {
            where: [n for n in names if n not in matched and self._is_carried(one, n)]
            for where, one, names in (
                ("here", lab, fresh.weights),
                ("there", source, start.weights),
            )
        }
        if not any(lists.values()):
            return {}
        missing = (f"{', '.join(names) or 'none'} {where}" for where, names in lists.items())
        logging.getLogger("ltx").warning(
            "transfer from %s to %s: no match for %s",
            self._label,
            lab.task.label,
            "; ".join(missing),
        )
        return {"unmatched": lists}

    def _checked(self, ticket: ltx.Ticket, carried: ltx.Ticket, body: list[str]) -> ltx.Ticket:
        """The carried ticket, checked to lack what its carry removes from the body."""
        if self.carry not in _PROMISES or not body:
            return carried
        mask, weights = _PROMISES[self.carry]
        old, new = (
            dataclasses.replace(
                one,
                mask=ltx.Mask({name: one.mask[name] for name in body}),
                state=ltx.State({name: one.state.weights[name] for name in body}),
            )
            for one in (ticket, carried)
        )
        checked = ltx.check_control("transfer", old, new, mask=mask, weights=weights)
        return dataclasses.replace(carried, note=checked.note)


def _place(lab: ltx.Lab, name: str) -> tuple[bool, bool]:
    """Whether the weight belongs to the head and whether to the stem."""
    return name in lab.head, name in lab.stem


def _shapes(arrays: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    return {name: array.shape for name, array in arrays.items()}


def _density(ticket: ltx.Ticket, names: Iterable[str]) -> float:
    """The density of these weights; of all, where the ticket has none of them."""
    masks = [ticket.mask[n] for n in ticket.mask if n in names] or list(ticket.mask.values())
    return sum(int(mask.sum()) for mask in masks) / sum(mask.size for mask in masks)


def _random_mask(
    lab: ltx.Lab, stream: str, name: str, shape: tuple[int, ...], density: float
) -> np.ndarray:
    flat = np.zeros(int(np.prod(shape)), np.bool_)
    flat[: max(1, round(density * flat.size))] = True
    return lab.rng(stream, name).permutation(flat).reshape(shape)
