"""One search for several agents that play by the same network: their positions reach it in the same batches."""

from __future__ import annotations

import numpy as np

from agents.core import Array, SearchResult
from agents.search.search import Search


class SharedSearch:
    """Hands the games of its members to one ``Search``, each with simulations of its own, and each member its results.

    Every game of a member has a row of the search to itself, so the trees of one never meet those of another.

    Args:
        search: which nobody else uses, and with an ``EvaluationCache`` that nobody else uses: leaves may wait in it
            from one call to the next.
    """

    def __init__(self, search: Search) -> None:
        self.search = search
        self._simulations: list[int] = []  # by member
        self._rows: dict[tuple[int, int], int] = {}  # by member and slot
        self._owners: list[tuple[int, int] | None] = []  # by row; None = nobody waits for it any more
        self._thinking: list[set[int]] = []  # slots by member
        self._ready: list[list[tuple[int, SearchResult, int]]] = []  # by member: slot, results and which row of them

    def join(self, simulations: int) -> int:
        """A new member's number."""
        self._simulations.append(simulations)
        self._thinking.append(set())
        self._ready.append([])
        return len(self._simulations) - 1

    def begin(
        self, member: int, states: Array, rng: np.random.Generator, slots: Array, simulations: int | None = None
    ) -> None:
        """See ``PatientAgent.begin``."""
        for slot in slots.tolist():
            if (member, slot) not in self._rows:
                self._rows[member, slot] = len(self._owners)
                self._owners.append((member, slot))
        rows = np.array([self._rows[member, slot] for slot in slots.tolist()], np.int64)
        self._thinking[member].update(slots.tolist())
        self.search.begin(states, rng, rows, simulations or self._simulations[member])

    def finished(self, member: int) -> tuple[Array, SearchResult]:
        """See ``PatientAgent.finished``: all of the member's games, while those of others get on.

        Handing them out one by one would be the end of large batches wherever two networks meet: the other one would
        have to think about a single game each time.
        """
        while self._thinking[member]:
            rows, result = self.search.finished()
            for place, owner in enumerate(self._owners[row] for row in rows.tolist()):
                if owner is not None:
                    self._thinking[owner[0]].discard(owner[1])
                    self._ready[owner[0]].append((owner[1], result, place))
        ready, self._ready[member] = sorted(self._ready[member], key=lambda entry: entry[0]), []
        return np.array([slot for slot, _, _ in ready], np.int64), self._joined(ready)

    def forget(self, member: int, slots: Array) -> None:
        """See ``ForgettingAgent``."""
        rows = [self._rows[member, slot] for slot in slots.tolist() if (member, slot) in self._rows]
        self.search.forget(np.array(rows, np.int64))

    def reset(self, member: int) -> None:
        """Forgets the member's trees and the searches that it began."""
        self._thinking[member].clear()
        self._ready[member].clear()
        for key in [key for key in self._rows if key[0] == member]:
            self._owners[self._rows.pop(key)] = None
        if not self._rows:
            self._owners.clear()
            self.search.reset()

    def _joined(self, ready: list[tuple[int, SearchResult, int]]) -> SearchResult:
        fields = ("action", "action_weights", "value", "visit_counts")
        if not ready:
            return self.search._result(np.empty(0, np.int64))
        return SearchResult(*(np.stack([getattr(result, name)[row] for _, result, row in ready]) for name in fields))
