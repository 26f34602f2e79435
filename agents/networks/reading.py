"""A recurrent network at play: it reads each move of a game once, and keeps its state from move to move."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from agents.core import Array, Evaluation
from agents.histories import FIRST_ACTION, START, History
from agents.networks.core import PolicyValueNetwork
from agents.networks.layers import fold_normalisation
from agents.networks.recurrent import Recurrent


@dataclass(frozen=True)
class _Place:
    """How far one game has been read.

    Attributes:
        moves: int ``[T]``, those that have been read; with the start of the game, ``T + 1`` tokens.
        position: states ``[1]`` after them; only where the network reads positions.
        memory: the network's state ``[S, layers, width]``.
        features: ``[F]`` after the last token.
    """

    moves: Array
    position: Array | None
    memory: Tensor
    features: Tensor


class Reader:
    """Evaluates positions by the moves that led to them; games are told apart by their slots.

    Args:
        network: with a ``Recurrent`` backbone; it is copied.
        game: as the network sees it.
        device, precision: where it computes, and in what.
    """

    def __init__(
        self, network: PolicyValueNetwork, game: History, device: torch.device, precision: torch.dtype
    ) -> None:
        self._network = fold_normalisation(network).requires_grad_(False).to(device, precision)
        assert isinstance(self._network.backbone, Recurrent)
        self._backbone = self._network.backbone
        self._game, self._device, self._precision = game, device, precision
        self._places: dict[int, _Place] = {}

    def forget(self) -> None:
        """Forgets all games."""
        self._places = {}

    @torch.inference_mode()
    def evaluate(self, moves: Array, plies: Array, slots: Array | None = None) -> Evaluation:
        """Scores the positions after the first ``plies`` (int ``[B]``) of ``moves`` (int ``[B, T]``); without ``slots``
        nothing is kept."""
        played = [row[:ply] for row, ply in zip(moves, plies, strict=True)]
        places: list[_Place | None] = [None] * len(played)
        if slots is not None:
            places = [self._known(int(slot), each) for slot, each in zip(slots, played, strict=True)]
        unread = np.array([len(each) + 1 - _tokens(place) for each, place in zip(played, places, strict=True)])
        fresh = np.array([place is None for place in places])
        for count, is_fresh in {(int(n), bool(f)) for n, f in zip(unread, fresh, strict=True) if n}:
            rows = np.flatnonzero((unread == count) & (fresh == is_fresh))
            for row, place in zip(rows, self._read(rows, count, played, places), strict=True):
                places[row] = place
        for row, place in enumerate(places):
            if slots is not None and place is not None:
                self._places[int(slots[row])] = place
        features = torch.stack([place.features for place in places if place is not None])
        logits, value = self._network.policy(features), self._network.value(features)
        return Evaluation(logits.float().cpu().numpy(), value.float().cpu().numpy())

    def _known(self, slot: int, moves: Array) -> _Place | None:
        """How far the game in ``slot`` has been read, if it is the one with these moves; None: not at all."""
        place = self._places.get(slot)
        if place is None or len(place.moves) > len(moves) or (place.moves != moves[: len(place.moves)]).any():
            return None
        return place

    def _read(self, rows: Array, count: int, played: list[Array], places: list[_Place | None]) -> list[_Place]:
        """Reads the last ``count`` tokens of games ``rows``, all of which are new, or have been read up to there."""
        before = [places[row] for row in rows]
        positions: list[Array | None] = [None] * len(rows)
        if self._backbone.reads == "moves":
            tokens = np.array([np.append(START, played[row] + FIRST_ACTION)[-count:] for row in rows], np.int64)
            inputs = torch.from_numpy(tokens).to(self._device)
        else:
            planes = []
            for index, row in enumerate(rows):
                positions[index], seen = self._positions(before[index], played[row], count)
                planes.append(seen)
            inputs = torch.from_numpy(np.stack(planes)).to(self._device, self._precision)
        memory = None
        if before[0] is not None:
            memory = torch.stack([place.memory for place in before if place is not None])
        features, after = self._backbone.advance(inputs, memory)
        return [
            _Place(played[row].copy(), positions[index], after[index], features[index, -1])
            for index, row in enumerate(rows)
        ]

    def _positions(self, place: _Place | None, moves: Array, count: int) -> tuple[Array, Array]:
        """States ``[1]`` after ``moves``, and the planes ``[count, C, H, W]`` of the last ``count`` positions."""
        game, planes = self._game.game, []
        if place is None:
            states = game.init(1)
            planes.append(game.observe(states)[0])
        else:
            assert place.position is not None
            states = place.position.copy()
        for move in moves[len(moves) - (count - len(planes)) :]:
            game.step_unchecked(states, np.array([move], np.int64))
            planes.append(game.observe(states)[0])
        return states, np.stack(planes)


def _tokens(place: _Place | None) -> int:
    return 0 if place is None else len(place.moves) + 1
