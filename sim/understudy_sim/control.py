"""In which order tasks that are ready together take their step: policies, record, replay.

trio gives each ready task exactly one step per pass, so permutations of these batches are just the
schedules that trio can really produce. A batch of one is no choice; the others are *contests*,
numbered from 0. A policy decides every contest by its number, the batch and the seed.

Only `stress` goes further: it steps one task and holds the others back, which trio does not do
today, and any scheduler may do tomorrow. What it finds is a mistake to be, not one that is.
"""

from __future__ import annotations

import weakref
from array import array
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Final, Literal, Protocol, TypeAlias

import trio

from understudy_actors.runtime.ports import Randomness
from understudy_sim.clock import JumpClock

Task: TypeAlias = trio.lowlevel.Task
Deviations: TypeAlias = Mapping[int, tuple[int, ...]]
"""Contests that were not decided by age: number of the contest to positions in order of steps; one
position alone if the other tasks were held back."""
PolicyName: TypeAlias = Literal["fifo", "shuffle", "pct", "stress"]

PCT_DEPTH: Final = 3
"""Ordering constraints of the deepest bug that `FairPct` and `Stress` are made to find."""
PCT_WINDOW: Final = 512
"""Contests among which they spread their changes of priority."""
_FIRST_WINDOW: Final = 16
_SMALL: Final = 256  # up to here, four choices from 64 bits are uneven by less than 2**-32
_LOG_BYTES: Final = 1 << 16


class Policy(Protocol):
    """Decides contests.

    Law: the answer is a permutation of `range(len(tasks))`, or one of these positions alone, and
    depends on nothing but the seed, the number of the contest, how many tasks there are, and which
    of them were seen before.
    """

    def arrange(self, contest: int, tasks: Sequence[Task]) -> Sequence[int]:
        """Positions in the order in which they step.

        One alone: the others are held back, and stand in the next contest with whoever is ready
        by then. `tasks` are those held back, then the others from old to young.
        """
        ...


class Fifo:
    """The oldest task first: the calmest schedule, and the same for every seed."""

    def arrange(self, contest: int, tasks: Sequence[Task]) -> Sequence[int]:  # noqa: ARG002
        """Leave them by age."""
        return range(len(tasks))


class Shuffle:
    """Every order is equally likely, in each contest anew."""

    def __init__(self, randomness: Randomness) -> None:
        self._bits = randomness.bits

    def arrange(self, contest: int, tasks: Sequence[Task]) -> Sequence[int]:
        """Draw a permutation (Fisher and Yates; Knuth, TAOCP vol. 2, 3.4.2, algorithm P)."""
        order = list(range(len(tasks)))
        stream, bits = f"schedule/{contest}", 0
        choices = 4 if len(order) <= _SMALL else 1
        for drawn, top in enumerate(range(len(order) - 1, 0, -1)):
            if drawn % choices == 0:
                bits = self._bits(stream, drawn)
            bits, other = divmod(bits, top + 1)
            order[top], order[other] = order[other], order[top]
        return order


class FairPct:
    """Tasks keep random priorities, which change at a few random contests.

    A bug that needs `depth` steps in one order is found far more often than by independent
    shuffles: what is slow stays slow. Source: Burckhardt, Kothari, Musuvathi, Nagarakatte, "A
    Randomized Scheduler with Probabilistic Guarantees of Finding Bugs", ASPLOS 2010. Theirs steps
    only the first task; here all take their step, since trio starves nobody. As the length of a
    run is not known, `depth - 1` changes fall into every `PCT_WINDOW` contests.
    """

    def __init__(self, randomness: Randomness, *, depth: int = PCT_DEPTH) -> None:
        self._bits = randomness.bits
        self._depth = depth
        self._ranks: weakref.WeakKeyDictionary[Task, float] = weakref.WeakKeyDictionary()
        self._seen = 0
        self._floor = 0.0
        self._changes: frozenset[int] = frozenset()

    def arrange(self, contest: int, tasks: Sequence[Task]) -> Sequence[int]:
        """By priority; at a change, the first falls behind everybody for good."""
        if window := self._window(contest):
            self._changes = self._next_changes(contest, window)
        ranks = [self._rank(task) for task in tasks]
        if contest in self._changes:
            first = max(range(len(tasks)), key=ranks.__getitem__)
            self._floor -= 1.0
            ranks[first] = self._ranks[tasks[first]] = self._floor
        return sorted(range(len(tasks)), key=ranks.__getitem__, reverse=True)

    def _rank(self, task: Task) -> float:
        rank = self._ranks.get(task)
        if rank is None:
            rank = self._ranks[task] = float(self._bits("schedule/priority", self._seen))
            self._seen += 1
        return rank

    def _window(self, contest: int) -> int:
        """The length of the window of changes that begins with this contest, if one does."""
        return 0 if contest % PCT_WINDOW else PCT_WINDOW

    def _next_changes(self, contest: int, window: int) -> frozenset[int]:
        return frozenset(
            contest + self._bits(f"schedule/change/{contest}", n) % window
            for n in range(self._depth - 1)
        )


class Stress(FairPct):
    """PCT as it was published: only the task of the highest priority steps, over and over.

    One task can take many steps while another that is ready takes none. Windows of changes begin
    small and double, so that a change is as likely near the start of a short run as of a long one.
    """

    def arrange(self, contest: int, tasks: Sequence[Task]) -> Sequence[int]:
        """The one that steps."""
        return super().arrange(contest, tasks)[:1]

    def _window(self, contest: int) -> int:
        if contest == 0:
            return _FIRST_WINDOW
        doubles = contest < PCT_WINDOW and contest >= _FIRST_WINDOW and contest.bit_count() == 1
        return contest if doubles else super()._window(contest)


class Replay:
    """Decides as recorded, and by age where nothing is recorded.

    Attributes:
        misfits: How many recorded contests had another number of tasks, and went by age instead:
            0 in a faithful replay.
    """

    def __init__(self, deviations: Deviations) -> None:
        """Take what `Simulation.deviations` recorded, or a part of it.

        Raises:
            ValueError: An entry is neither a permutation nor one position.
        """
        for contest, order in deviations.items():
            if len(order) != 1 and sorted(order) != list(range(len(order))):
                raise ValueError(
                    f"contest {contest}: {list(order)} is no permutation of 0 to "
                    f"{len(order) - 1}: each position must occur once"
                )
        self._deviations = dict(deviations)
        self.misfits = 0

    def arrange(self, contest: int, tasks: Sequence[Task]) -> Sequence[int]:
        """What was recorded for this contest, if it fits."""
        order = self._deviations.get(contest)
        if order is None or not _fits(order, len(tasks)):
            self.misfits += order is not None
            return range(len(tasks))
        return order


def _fits(order: Sequence[int], count: int) -> bool:
    return order[0] < count if len(order) == 1 else len(order) == count


def policy_for(policy: PolicyName | Policy, randomness: Randomness) -> Policy:
    """The policy of that name; one that is a policy already is returned as it is.

    Raises:
        ValueError: There is none of that name.
    """
    if not isinstance(policy, str):
        return policy
    makers: dict[str, Callable[[], Policy]] = {
        "fifo": Fifo,
        "shuffle": lambda: Shuffle(randomness),
        "pct": lambda: FairPct(randomness),
        "stress": lambda: Stress(randomness),
    }
    if policy not in makers:
        raise ValueError(f"no schedule policy {policy!r}: choose one of {', '.join(makers)}")
    return makers[policy]()


class Schedule:
    """What trio calls with each batch: applies the policy, keeps the digest, counts the steps.

    Attributes:
        contests: Batches of more than one task so far.
        deviations: Contests not decided by age, if they are recorded.
    """

    def __init__(self, policy: Policy, clock: JumpClock, *, record: bool = False) -> None:
        self.contests = 0
        self.deviations: dict[int, tuple[int, ...]] = {}
        self._policy = policy
        self._clock = clock
        self._record = record
        self._held: list[Task] = []
        self._hash = blake2b(digest_size=16)
        self._log = bytearray()

    def __call__(self, batch: list[Task]) -> None:
        """Put a batch, sorted by age, into the reverse of its order of steps."""
        if self._held:
            batch[:0] = self._held
            self._held, self._clock.held = [], False
        count = len(batch)
        if count > 1:
            self._decide(batch, count)
        self._clock.watch.stepped(len(batch), self._clock.current_time())

    def _decide(self, batch: list[Task], count: int) -> None:
        order = self._policy.arrange(self.contests, batch)
        self._log += bytes((count, *order)) if count < _SMALL else array("I", (0, count, *order))
        if len(self._log) > _LOG_BYTES:
            self._flush()
        if self._record and (len(order) < count or any(map(int.__ne__, order, range(count)))):
            self.deviations[self.contests] = tuple(order)
        self.contests += 1
        if len(order) < count:
            self._held = [task for at, task in enumerate(batch) if at != order[0]]
            self._clock.held = True
        batch[:] = [batch[position] for position in reversed(order)]

    def _flush(self) -> None:
        self._hash.update(self._log)
        self._log.clear()

    @property
    def digest(self) -> str:
        """32 hex digits over all contests so far, as they were decided."""
        self._flush()
        return self._hash.hexdigest()
