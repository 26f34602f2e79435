"""Playing records again: the positions of one game, or thousands of games side by side with every move checked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from games.core import ArenaError, Array, Game, IllegalActionError
from games.records.core import GameRecord, RecordError, game_of

BATCH = 1024
_MOST_WAITING = 32  # batches' worth of records, of all games together, that are held back at most


@dataclass(frozen=True)
class Replay:
    """What became of one record.

    Attributes:
        record: the record.
        states: ``[1]``, the position after the last legal move.
        plies: how many moves could be played; all of them, unless ``problem`` says why not.
        problem: why the start or a move is illegal; "" = nothing is.
        over: whether the rules ended the game there.
        returns: float32 ``[P]``, by the rules; zeros unless ``over``.
        agrees: whether the record's result is that of the rules; None where one of the two has none.
    """

    record: GameRecord
    states: Array
    plies: int
    problem: str
    over: bool
    returns: Array
    agrees: bool | None


def replay(record: GameRecord) -> Array:
    """The positions of one game, states ``[T + 1]``, from its start to after its last move.

    Raises:
        RecordError: names the ply of an illegal move, and the file and the number of the game.
    """
    game = game_of(record.game)
    try:
        current = game.parse_state(record.start) if record.start else game.init(1)
    except ArenaError as error:
        raise record.error(str(error)) from error
    states = np.empty(len(record.moves) + 1, dtype=game.dtype)
    states[:1] = current
    for ply, action in enumerate(record.moves.tolist()):
        try:
            game.step(current, [action])
        except IllegalActionError as error:
            raise record.error(str(error), ply) from error
        states[ply + 1 : ply + 2] = current
    return states


def replay_all(records: Iterable[GameRecord], batch_size: int = BATCH) -> Iterator[Replay]:
    """Replays ``records`` by the batch, checking every move.

    Records of the same game are played side by side, so they come back in another order; no more than some thirty
    batches wait for their fellows at any time, however many records there are.
    """
    waiting: dict[str, list[GameRecord]] = {}
    for record in records:
        batch = waiting.setdefault(record.game, [])
        batch.append(record)
        if len(batch) == batch_size:
            yield from _replay_batch(waiting.pop(record.game))
        elif sum(map(len, waiting.values())) >= _MOST_WAITING * batch_size:
            yield from _replay_batch(waiting.pop(max(waiting, key=lambda name: len(waiting[name]))))
    for batch in waiting.values():
        yield from _replay_batch(batch)


def _replay_batch(records: list[GameRecord]) -> Iterator[Replay]:
    try:
        game = game_of(records[0].game)
    except ArenaError as error:
        raise records[0].error(str(error)) from error
    # Long games last: then the games still being played are the end of every array, and nothing need be copied.
    records = sorted(records, key=lambda record: len(record.moves))
    states, problems = _starts(game, records)
    lengths = np.array([len(record.moves) for record in records])
    moves = np.full((len(records), lengths.max(initial=0)), -1, np.int64)
    for row, record in enumerate(records):
        moves[row, : len(record.moves)] = record.moves
    plies = np.where([row in problems for row in range(len(records))], 0, lengths)
    for ply in range(moves.shape[1]):
        first = int(np.searchsorted(lengths, ply, side="right"))
        current, chosen = states[first:], moves[first:, ply]
        mask = game.legal_action_mask(current)
        in_range = (chosen >= 0) & (chosen < game.spec.num_actions)
        legal = in_range & mask[np.arange(len(current)), np.where(in_range, chosen, 0)]
        for row in (first + np.flatnonzero(~legal)).tolist():
            if row not in problems:
                problems[row] = _explain(game, states[row : row + 1], int(moves[row, ply]))
                plies[row] = ply
        stopped = np.array([row - first for row in problems if row >= first], np.int64)
        if len(stopped):  # those are played no further
            going = np.setdiff1d(np.arange(len(current)), stopped)
            stepped = current[going]
            game.step_unchecked(stepped, chosen[going])
            current[going] = stepped
        else:
            game.step_unchecked(current, chosen)
    returns = game.returns(states)
    for row, record in enumerate(records):
        over, problem = bool(states["terminated"][row]), problems.get(row, "")
        comparable = over and record.returns is not None and not problem
        agrees = bool(np.array_equal(record.returns, returns[row])) if comparable else None  # type: ignore[arg-type]
        yield Replay(record, states[row : row + 1], int(plies[row]), problem, over, returns[row], agrees)


def _starts(game: Game, records: list[GameRecord]) -> tuple[Array, dict[int, str]]:
    """Where each game begins, ``[B]``, and what is wrong with a start, by its row."""
    states, problems = game.init(len(records)), {}
    for row, record in enumerate(records):
        if record.start:
            try:
                states[row : row + 1] = game.parse_state(record.start)
            except ArenaError as error:
                problems[row] = str(error)
    return states, problems


def _explain(game: Game, states: Array, action: int) -> str:
    """Why ``action`` is illegal in ``states`` ``[1]``, and the position."""
    position = game.state_to_string(states[0])
    position = f"The position is {position if len(position) <= 200 else position[:200] + '…'}"
    try:
        if 0 <= action < game.spec.num_actions:  # the game's own words for what people type say more
            game.parse_action(states[0], game.action_to_string(states[0], action))
    except ArenaError as error:
        return f"{error} {position}"
    except (IndexError, ValueError):
        pass  # not every illegal action can be written
    try:
        game.step(states.copy(), [action])
    except IllegalActionError as error:
        return f"{error} {position}"
    raise RecordError(f"{game.spec.name} calls action {action} illegal in a batch and legal alone")
