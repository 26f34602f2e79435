"""The one play loop: hundreds of games advance together. Self-play and matches both run on it."""

from __future__ import annotations

import dataclasses
import itertools
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from agents.core import Agent, ForfeitError, ForgettingAgent, PatientAgent, SearchResult, act
from arena.adjudication import Adjudication, Adjudicator
from arena.records import Pairing, Trajectory
from arena.streams import Streams
from games import ArenaError, EndReason, Game, IllegalActionError

Array = np.ndarray

_NO_VERSION = np.iinfo(np.int64).max
_AHEAD = 4
"""One game for so many slots is made ready with those that are needed now."""
_RECORDED = ("active", "plies", "seats", "oldest", "moves", "root_values")
_RECORDED += ("policy_lengths", "policy_sizes", "policy_actions", "policy_weights")


class ResumeError(ArenaError):
    """A saved state that does not belong to what is being resumed."""


class GamePool:
    """Up to ``slots`` games in flight; every ``advance`` plays a move wherever an agent has one.

    Each agent is asked at once about all the games where it is to move, so its network sees one big batch; one that is
    a ``PatientAgent`` gives back some of the moves while it thinks about the others. A slot whose game ended is given
    the next pairing. Callers set ``weights_version`` to that of the network that chooses from now on; each trajectory
    tells the oldest that chose a move in it.

    Args:
        game: the rules.
        agents: what ``Pairing.seats`` refers to, by index.
        pairings: the games to play, in order; may be endless.
        slots: how many games are in flight at most.
        rng: the only source of randomness, handed to the agents.
        streams: whether each game draws from a stream of its own, that of its pairing's ``seed``, instead of ``rng``:
            then it is the same game whatever is played beside it.
        adjudication: when games are over before the rules end them; None = never.
    """

    def __init__(
        self,
        game: Game,
        agents: Sequence[Agent],
        pairings: Iterator[Pairing],
        slots: int,
        rng: np.random.Generator,
        *,
        streams: bool = False,
        adjudication: Adjudication | None = None,
    ) -> None:
        self.weights_version = 0
        self._game, self._agents, self._pairings, self._rng = game, tuple(agents), iter(pairings), rng
        self._patient = [agent if isinstance(agent, PatientAgent) else None for agent in self._agents]
        self._forgetting = [agent for agent in self._agents if isinstance(agent, ForgettingAgent)]
        self._streams = Streams(slots, rng) if streams else None
        self._adjudicator = Adjudicator(adjudication, slots, game.spec.max_plies) if adjudication else None
        self._max_plies = min((adjudication and adjudication.max_plies) or game.spec.max_plies, game.spec.max_plies)
        self._longest = np.zeros(slots, np.int32)
        self._simulations, self._simulations_plies = np.zeros((2, slots), np.int32)  # see ``Pairing``
        self._exhausted = False
        self._in_flight: list[Pairing | None] = [None] * slots
        # The next games and where they begin: many openings are played as fast as one.
        self._opened: deque[tuple[Pairing, np.void]] = deque()
        self._stopped: dict[int, tuple[int, EndReason, str]] = {}  # by slot: winner or -1, how and why
        self._states = game.init(slots)
        self._active = np.zeros(slots, bool)
        self._thinking = np.zeros(slots, bool)  # a patient agent has been given the position and not answered yet
        self._plies = np.zeros(slots, np.int32)
        self._seats = np.zeros((slots, game.spec.num_players), np.int32)
        self._oldest = np.zeros(slots, np.int64)
        # All that is recorded lies in arrays, so that recording costs nothing beside the agents. Their columns double
        # when a game fills them: the longest chess game has 11,797 plies, and hardly any has 500.
        plies = min(game.spec.max_plies, 256)
        self._moves = np.zeros((slots, plies), np.int32)
        self._root_values = np.zeros((slots, plies), np.float32)
        self._policy_lengths = np.zeros((slots, plies), np.int32)
        # The sparse policy targets of a game, ply after ply, from the left of its row.
        self._policy_sizes = np.zeros(slots, np.int64)
        self._policy_actions = np.zeros((slots, 64), np.int32)
        self._policy_weights = np.zeros((slots, 64), np.float32)

    @property
    def done(self) -> bool:
        """No game is in flight and none is left to start."""
        return self._exhausted and not self._opened and not self._active.any()

    def advance(self) -> list[Trajectory]:
        """Starts games in free slots, plays the moves that are ready, and returns the games that ended, in slot order.

        Every agent that is not a ``PatientAgent`` moves in all of its games, so with those alone this is one ply.

        Raises:
            IllegalActionError: names the agent (or the opening) whose move the rules do not allow.
        """
        self._refill()
        live = np.flatnonzero(self._active & ~self._over())
        to_move = self._seats[live, self._states["to_play"][live]]
        shares = [(number, slots) for number in range(len(self._agents)) if len(slots := live[to_move == number])]
        for number, slots in shares:  # all before anybody's answer is waited for: agents may think together
            self._begin(number, slots)
        for number, slots in shares:
            ready, result = self._ask(number, slots)
            if len(ready):
                self._record(self._agents[number], ready, result)
        finished = np.flatnonzero(self._active & self._over())
        self._active[finished] = False
        returns = self._game.returns(self._states[finished])
        for row, slot in enumerate(finished):
            if (winner := self._stopped.get(int(slot), (-1,))[0]) >= 0:
                returns[row] = -1.0
                returns[row, winner] = 1.0
        return [self._trajectory(int(slot), returns[row]) for row, slot in enumerate(finished)]

    def _begin(self, number: int, slots: Array) -> None:
        """Gives agent ``number``, if it is a patient one, those of ``slots`` that it has not been given yet."""
        new = slots[~self._thinking[slots]]
        self._oldest[new] = np.minimum(self._oldest[new], self.weights_version)
        if (agent := self._patient[number]) is not None and len(new):
            wanted = np.where(self._plies[new] < self._simulations_plies[new], self._simulations[new], 0)
            for simulations in np.unique(wanted).tolist():
                group = new[wanted == simulations]
                agent.begin(self._states[group], self._rng_of(group), group, simulations or None)
            self._thinking[new] = True

    def _ask(self, number: int, slots: Array) -> tuple[Array, SearchResult]:
        """Those of ``slots``, in all of which agent ``number`` is to move, where it has a move, and what it chose."""
        agent = self._patient[number]
        if agent is not None:
            ready, result = agent.finished()
            self._thinking[ready] = False
            return ready, result
        states, moves, plies = self._states[slots], self._moves[slots], self._plies[slots]
        try:
            return slots, act(self._agents[number], states, moves, plies, self._rng_of(slots), slots)
        except ForfeitError as error:
            for row, (reason, why) in error.ends.items():
                self._stopped[int(slots[row])] = 1 - int(states["to_play"][row]), reason, why
            rows = np.array([row for row in range(len(slots)) if row not in error.ends], np.int64)
            chosen = error.result
            parts = chosen.action[rows], chosen.action_weights[rows], chosen.value[rows], chosen.visit_counts[rows]
            return slots[rows], SearchResult(*parts)

    def _rng_of(self, slots: Array) -> np.random.Generator:
        return self._rng if self._streams is None else self._streams.of(slots)

    def _over(self) -> Array:
        over = self._states["terminated"] | (self._plies >= self._longest)
        if self._stopped:
            over[list(self._stopped)] = True
        return over

    def _record(self, agent: Agent, slots: Array, result: SearchResult) -> None:
        """Plays what ``agent`` chose in ``slots``, and keeps what there is to learn from it."""
        to_play = self._states["to_play"][slots]
        try:
            self._play(slots, result.action)
        except IllegalActionError as error:
            raise IllegalActionError(f"Agent {agent.name!r} chose an illegal move: {error}") from None
        plies = self._plies[slots] - 1
        self._root_values[slots, plies] = result.value
        if self._adjudicator is not None:
            ends = self._adjudicator.ends(slots, to_play, result.value, plies + 1)
            self._stopped |= {slot: end for slot, end in ends.items() if self._may_stop(slot)}
        rows, actions = np.nonzero(result.action_weights)
        lengths = np.bincount(rows, minlength=len(slots))
        sizes = self._policy_sizes[slots]
        columns_needed = (sizes + lengths).max()
        self._policy_actions = _widened(self._policy_actions, columns_needed)
        self._policy_weights = _widened(self._policy_weights, columns_needed)
        row_starts = np.cumsum(lengths) - lengths
        columns = sizes[rows] + np.arange(len(rows)) - row_starts[rows]
        self._policy_actions[slots[rows], columns] = actions
        self._policy_weights[slots[rows], columns] = result.action_weights[rows, actions]
        self._policy_lengths[slots, plies] = lengths
        self._policy_sizes[slots] = sizes + lengths

    def _may_stop(self, slot: int) -> bool:
        pairing = self._in_flight[slot]
        assert pairing is not None
        return not (pairing.to_the_end or self._states["terminated"][slot])

    def _play(self, slots: Array, actions: Array) -> None:
        """Checks and plays one move in each of ``slots``."""
        states = self._states[slots]
        self._game.step(states, actions)
        self._states[slots] = states
        plies = self._plies[slots]
        self._make_columns(int(plies.max()) + 1)
        self._moves[slots, plies] = actions
        self._plies[slots] = plies + 1

    def _make_columns(self, plies: int) -> None:
        self._moves = _widened(self._moves, plies)
        self._root_values = _widened(self._root_values, plies)
        self._policy_lengths = _widened(self._policy_lengths, plies)

    def _refill(self) -> None:
        free = np.flatnonzero(~self._active)
        if len(free) > len(self._opened) and not self._exhausted:
            self._open(max(len(free) - len(self._opened), len(self._active) // _AHEAD))
        slots = free[: len(self._opened)]
        if not len(slots):
            return
        for agent in self._forgetting:
            agent.forget(slots)
        self._active[slots], self._oldest[slots] = True, _NO_VERSION
        self._policy_sizes[slots] = 0
        if self._adjudicator is not None:
            self._adjudicator.start(slots)
        for slot in slots.tolist():
            pairing, state = self._opened.popleft()
            plies = len(pairing.opening)
            self._in_flight[slot], self._seats[slot], self._states[slot] = pairing, pairing.seats, state
            self._set_limits(slot, pairing)
            self._plies[slot] = plies
            self._make_columns(plies)
            self._moves[slot, :plies] = pairing.opening
            self._root_values[slot, :plies] = np.nan
            self._policy_lengths[slot, :plies] = 0
            if self._streams is not None:
                self._streams.start(slot, pairing.seed)

    def _open(self, count: int) -> None:
        """Takes up to ``count`` games more and plays their openings."""
        pairings = list(itertools.islice(self._pairings, count))
        self._exhausted = len(pairings) < count
        self._opened.extend(zip(pairings, self._after_openings(pairings), strict=True))

    def _after_openings(self, pairings: Sequence[Pairing]) -> Array:
        """The states ``[B]`` in which somebody has to choose."""
        states = self._game.init(len(pairings))
        for row, pairing in enumerate(pairings):
            if len(pairing.seats) != self._game.spec.num_players:
                raise ValueError(f"{pairing} must seat {self._game.spec.num_players} players.")
            if pairing.start:
                states[row] = self._game.parse_state(pairing.start)[0]
        for ply in range(max((len(pairing.opening) for pairing in pairings), default=0)):
            rows = np.array([row for row, pairing in enumerate(pairings) if len(pairing.opening) > ply])
            after = states[rows]
            try:
                self._game.step(after, [pairings[row].opening[ply] for row in rows])
            except IllegalActionError as error:
                raise IllegalActionError(f"An opening holds an illegal move: {error}") from None
            states[rows] = after
        return states

    def _set_limits(self, slot: int, pairing: Pairing) -> None:
        self._longest[slot] = min(self._max_plies, pairing.max_plies or self._max_plies)
        self._simulations[slot], self._simulations_plies[slot] = pairing.simulations, pairing.simulations_plies

    def _trajectory(self, slot: int, returns: Array) -> Trajectory:
        pairing, plies, size = self._in_flight[slot], self._plies[slot], self._policy_sizes[slot]
        assert pairing is not None
        self._in_flight[slot] = None
        terminated = bool(self._states["terminated"][slot])
        ended, note = EndReason.WIN if returns.any() else EndReason.DRAW, ""
        if not terminated:
            _, ended, note = self._stopped.get(slot, (-1, EndReason.TRUNCATED, f"cut after {plies} plies"))
        self._stopped.pop(slot, None)
        return Trajectory(
            pairing=pairing,
            moves=self._moves[slot, :plies].copy(),
            policy_lengths=self._policy_lengths[slot, :plies].copy(),
            policy_actions=self._policy_actions[slot, :size].copy(),
            policy_weights=self._policy_weights[slot, :size].copy(),
            root_values=self._root_values[slot, :plies].copy(),
            returns=returns.copy(),
            end_reason=ended,
            terminated=terminated,
            weights_version=min(int(self._oldest[slot]), self.weights_version),
            note=note,
        )

    def state(self) -> dict[str, Any]:
        """All but ``pairings``, as plain arrays and one JSON-able dict: a pool that restores it goes on exactly so.

        What agents carry between moves is not saved: they forget it here, too, so that both pools play the same.
        """
        self._forget()
        facts = {
            **self._identity(),
            "exhausted": self._exhausted,
            "weights_version": self.weights_version,
            "rng": self._rng.bit_generator.state,
            "in_flight": [p and dataclasses.astuple(p) for p in self._in_flight],
            "opened": [dataclasses.astuple(pairing) for pairing, _ in self._opened],
        }
        arrays = {name: getattr(self, f"_{name}").copy() for name in _RECORDED}
        if self._adjudicator is not None:
            arrays["streaks"] = self._adjudicator.streaks.copy()
        return {**arrays, "states": self._states.copy().view(np.uint8), "pool": facts}

    def _identity(self) -> dict[str, Any]:
        return {"game": self._game.spec.name, "version": self._game.spec.version, "slots": len(self._active)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from a ``state()``; the caller restores ``pairings``. Raises ResumeError if it does not fit."""
        facts = state["pool"]
        if (saved := {key: facts[key] for key in self._identity()}) != self._identity():
            raise ResumeError(f"The saved games are {saved}, not {self._identity()}: resume with the same settings.")
        self._exhausted, self.weights_version = facts["exhausted"], facts["weights_version"]
        self._rng.bit_generator.state = facts["rng"]
        self._in_flight = [p and _pairing(p) for p in facts["in_flight"]]
        opened = [_pairing(p) for p in facts.get("opened", ())]  # of runs from before it was, there are none
        self._opened = deque(zip(opened, self._after_openings(opened), strict=True))
        self._states = state["states"].view(self._game.dtype).copy()
        for slot, pairing in enumerate(self._in_flight):
            if pairing:
                self._set_limits(slot, pairing)
        for name in _RECORDED:
            setattr(self, f"_{name}", state[name].copy())
        if self._adjudicator is not None:
            self._adjudicator.streaks = state["streaks"].copy()
        self._forget()

    def _forget(self) -> None:
        self._thinking[:] = False
        for agent in self._agents:
            agent.reset()


def _pairing(saved: Sequence[Any]) -> Pairing:
    return Pairing(saved[0], tuple(saved[1]), tuple(saved[2]), *saved[3:])


def _widened(rows: Array, columns: int) -> Array:
    """``rows`` itself where it has as many columns, or else a copy with twice as many, as often as it takes."""
    while rows.shape[1] < columns:
        rows = np.concatenate([rows, np.zeros_like(rows)], axis=1)
    return rows


def play_games(
    game: Game, agents: Sequence[Agent], pairings: Iterator[Pairing], *, slots: int, rng: np.random.Generator
) -> Iterator[Trajectory]:
    """Plays every one of ``pairings``, up to ``slots`` at once, and yields each game as it ends."""
    pool = GamePool(game, agents, pairings, slots, rng)
    while not pool.done:
        yield from pool.advance()
