"""``check_game``: does a game keep every promise of ``games.core.Game``? For people who add one, and for our tests.

The rules of the game itself are beyond it (compare them with another implementation); all that the search, the
training loop and the environments take for granted is here.
"""

from __future__ import annotations

import numpy as np

from games.core import (
    ILLEGAL_SCORE,
    REQUIRED_FIELDS,
    ArenaError,
    Array,
    Game,
    IllegalActionError,
    ParseError,
    UnsupportedError,
)

_POSITIONS = 2048  # how many positions, of all that the random games meet, the slower checks see at most
_TEXT_POSITIONS = 48
_ENDGAME_POSITIONS = 32


class GameContractError(ArenaError, AssertionError):
    """A game that breaks a promise; the message names the game and the promise."""


def check_game(game: Game, *, num_games: int = 64, seed: int = 0) -> None:
    """Plays ``num_games`` random games and holds ``game`` to the interface.

    Raises:
        GameContractError: names the game and the first broken rule.
    """
    _Check(game, np.random.default_rng(seed)).run(num_games)


class _Check:
    def __init__(self, game: Game, rng: np.random.Generator) -> None:
        self.game, self.rng = game, rng

    def require(self, kept: object, rule: str) -> None:
        if not kept:
            raise GameContractError(f"{getattr(self.game.spec, 'name', self.game)}: {rule}.")

    def run(self, num_games: int) -> None:
        self.spec_and_dtype()
        self.start()
        plies, actions = self.playouts(num_games)
        seen = np.concatenate(plies)
        positions = seen[self.rng.permutation(len(seen))[:_POSITIONS]]
        self.outputs(positions)
        children = self.children(positions[:256])
        self.outputs(children)
        self.batches(positions[:64])
        self.hashes(np.concatenate([positions, children]))  # so that transpositions are among them
        self.point_of_view(positions)
        self.illegal_actions(positions[:_TEXT_POSITIONS])
        self.symmetries(num_games, actions)
        self.text(np.concatenate([plies[0][:1], positions[:_TEXT_POSITIONS], plies[-1][:1]]))
        self.solver(np.concatenate([ply[~ply["terminated"]] for ply in plies[:-1]][-8:])[-_ENDGAME_POSITIONS:])

    # ---- what a game says about itself -------------------------------------------------------------------------

    def spec_and_dtype(self) -> None:
        spec, dtype = self.game.spec, self.game.dtype
        self.require(spec.name.partition(":")[0] in self.game.names, f"spec.name is not one of names {self.game.names}")
        self.require(spec.num_players in (1, 2), f"num_players is {spec.num_players}, not 1 or 2")
        self.require(spec.num_actions >= 1, "num_actions is not positive")
        shape = spec.observation_shape
        self.require(len(shape) == 3 and min(shape) >= 1, f"observation_shape is {shape}, not positive (C, H, W)")
        self.require(1 <= spec.max_plies < 2**15, "max_plies is not in 1 … 32767, which the field ply can count")
        self.require(spec.version >= 1, "version is not at least 1")
        self.require(
            (dtype.names or ())[:3] == REQUIRED_FIELDS,
            f"the dtype does not begin with the fields {', '.join(REQUIRED_FIELDS)}",
        )
        for field, expected in zip(REQUIRED_FIELDS, (np.int8, np.bool_, np.int16), strict=True):
            self.require(dtype[field] == expected, f"field {field} is {dtype[field]}, not {np.dtype(expected)}")
        gaps = dtype.itemsize - sum(dtype[field].itemsize for field in dtype.names or ())
        self.require(gaps == 0, "the dtype has padding bytes, so that equal states need not be equal byte for byte")
        self.require(not dtype.hasobject, "the dtype holds Python objects, so that copying states shares them")

    def start(self) -> None:
        states, again = self.game.init(3), self.game.init(3)
        self.require(states.shape == (3,) and states.dtype == self.game.dtype, "init(3) is not [3] of dtype")
        self.require(self.game.init(0).shape == (0,), "init(0) is not empty")
        self.require(not np.shares_memory(states, again), "two calls of init share memory")
        self.require(not states["terminated"].any() and not states["ply"].any(), "init is terminated or ply is not 0")
        self.require(_same(states, again) and _same(states[:1], states[1:2]), "init gives different starts")

    # ---- playing -----------------------------------------------------------------------------------------------

    def playouts(self, num_games: int) -> tuple[list[Array], list[Array]]:
        """Random games in lock-step: the states ``[num_games]`` at every ply, and the actions between (-1 = none)."""
        game, spec = self.game, self.game.spec
        states = game.init(num_games)
        plies, actions = [states.copy()], []
        while not states["terminated"].all():
            self.require(len(actions) < spec.max_plies, f"a random game went on beyond max_plies = {spec.max_plies}")
            live = np.flatnonzero(~states["terminated"])
            mask = self.mask(states)
            self.require(mask[live].any(axis=1).all(), "a game goes on although no action is legal")
            self.require(not mask[states["terminated"]].any(), "an action is legal in a terminated game")
            chosen = np.argmax(np.where(mask, self.rng.random(mask.shape), -1.0), axis=1)
            before = states[live]
            stepped = before.copy()
            self.play(stepped, chosen[live])
            self.require(_same(before, states[live]), "stepping a copy of some states changed the originals")
            self.require((stepped["ply"] == before["ply"] + 1).all(), "ply does not rise by one with every step")
            to_play = stepped["to_play"]
            self.require(((to_play >= 0) & (to_play < spec.num_players)).all(), "to_play is not a seat")
            states[live] = stepped
            plies.append(states.copy())
            actions.append(np.where(np.isin(np.arange(num_games), live), chosen, -1))
        return plies, actions

    def play(self, states: Array, actions: Array) -> None:
        try:
            self.game.step(states, actions)
        except IllegalActionError as error:
            raise GameContractError(f"{self.game.spec.name}: step refused an action of the mask: {error}") from error

    def mask(self, states: Array) -> Array:
        mask = self.game.legal_action_mask(states)
        shape = (len(states), self.game.spec.num_actions)
        self.require(mask.shape == shape and mask.dtype == np.bool_, f"legal_action_mask is not bool {shape}")
        return mask

    def outputs(self, states: Array) -> None:
        """Shapes, dtypes and ranges; and that looking at states does not change them."""
        spec, before = self.game.spec, states.copy()
        self.mask(states)
        observation, hashes, returns = self.game.observe(states), self.game.hash(states), self.game.returns(states)
        self.require(_same(before, states), "legal_action_mask, observe, hash or returns changes the states")
        shape = (len(states), *spec.observation_shape)
        is_array = observation.shape == shape and observation.dtype == np.float32
        self.require(is_array, f"observe gives {observation.dtype} {observation.shape}, not float32 {shape}")
        self.require((np.abs(observation) <= 1).all(), "an observation is not within [-1, 1]")
        self.require(hashes.shape == (len(states),) and hashes.dtype == np.uint64, "hash is not uint64 [B]")
        shape = (len(states), spec.num_players)
        is_array = returns.shape == shape and returns.dtype == np.float32
        self.require(is_array, f"returns gives {returns.dtype} {returns.shape}, not float32 {shape}")
        self.require((np.abs(returns) <= 1).all(), "returns are not within [-1, 1]")
        self.require(not returns[~states["terminated"]].any(), "returns are not zero before the game is over")
        if spec.num_players == 2:
            self.require(not returns.sum(axis=1).any(), "the returns of the two players do not add up to zero")

    def children(self, states: Array) -> Array:
        """The position after every legal action in every one of ``states``."""
        rows, actions = np.nonzero(self.game.legal_action_mask(states))
        children = states[rows]
        self.play(children, actions)
        return children

    def batches(self, states: Array) -> None:
        """One position alone fares as it does among others, also when played in another order."""
        game = self.game
        mask, live = game.legal_action_mask(states), ~states["terminated"]
        stepped, actions = states[live], np.argmax(mask[live], axis=1)
        self.play(stepped, actions)
        outputs = [f(states) for f in (game.legal_action_mask, game.observe, game.hash, game.returns)]
        for row in range(len(states)):
            one = states[row : row + 1]
            alone = (game.legal_action_mask(one), game.observe(one), game.hash(one), game.returns(one))
            agree = all(np.array_equal(a[0], b[row]) for a, b in zip(alone, outputs, strict=True))
            self.require(agree, "a batch of one gives something else than the same position in a larger batch")
        for row in reversed(range(len(stepped))):
            one = states[live][row : row + 1].copy()
            self.play(one, actions[row : row + 1])
            self.require(_same(one, stepped[row : row + 1]), "a step in a batch of one goes differently in another")

    def illegal_actions(self, states: Array) -> None:
        spec, mask = self.game.spec, self.game.legal_action_mask(states)
        for row, state in enumerate(states):
            for action in (-1, spec.num_actions, *np.flatnonzero(~mask[row])[:3]):
                batch = self.game.init(3)
                actions = np.argmax(self.game.legal_action_mask(batch), axis=1)
                batch[1], actions[1] = state, action
                before = batch.copy()
                try:
                    self.game.step(batch, actions)
                except IllegalActionError as error:
                    message = str(error)
                    named = all(x in message for x in (spec.name, str(state["ply"]), str(action)))
                    self.require(named, f"the error of an illegal action does not name game, ply and action: {message}")
                else:
                    self.require(False, f"step accepts action {action}, which the mask calls illegal")
                self.require(_same(before, batch), "a step that was refused changed the states")

    # ---- what networks and caches rely on ----------------------------------------------------------------------

    def hashes(self, states: Array) -> None:
        mask, observation = self.game.legal_action_mask(states), self.game.observe(states)
        hash_of: dict[bytes, int] = {}
        for row, value in enumerate(self.game.hash(states).tolist()):
            known = hash_of.setdefault(observation[row].tobytes() + mask[row].tobytes(), value)
            self.require(known == value, "positions that look the same to a network have different hashes")
        self.require(len(set(hash_of.values())) == len(hash_of), "positions that look different share a hash")

    def point_of_view(self, states: Array) -> None:
        if self.game.spec.num_players == 2:
            swapped = states.copy()
            swapped["to_play"] = 1 - swapped["to_play"]
            relative = not np.array_equal(self.game.observe(states), self.game.observe(swapped))
            self.require(relative, "observe does not depend on to_play, so it cannot be from the mover's point of view")

    def symmetries(self, num_games: int, actions: list[Array]) -> None:
        """Every symmetry is a pair of permutations, and a game played in its mirror looks like the game mirrored."""
        game, spec = self.game, self.game.spec
        cells = int(np.prod(spec.observation_shape[1:]))
        for index, symmetry in enumerate(game.symmetries):
            board, policy = symmetry.observation_permutation, symmetry.action_permutation
            is_permutation = np.array_equal(np.sort(board), np.arange(cells)) and np.array_equal(
                np.sort(policy), np.arange(spec.num_actions)
            )
            self.require(is_permutation, f"symmetry {index} is not a permutation of cells and one of actions")
            if index == 0:
                is_identity = np.array_equal(board, np.arange(cells)) and np.array_equal(policy, np.sort(policy))
                self.require(is_identity, "the first symmetry is not the identity")
            states, images = game.init(num_games), game.init(num_games)
            image_of = symmetry.image_of_action
            turned = game.observe(states).reshape(num_games, -1, cells)[:, :, board]
            colours_swap = not np.array_equal(turned, game.observe(images).reshape(num_games, -1, cells))
            if colours_swap:  # as in Othello, where a quarter turn of the start exchanges the colours
                images["to_play"] = spec.num_players - 1 - images["to_play"]
            for ply_actions in [*actions, np.full(num_games, -1)]:
                planes = game.observe(states).reshape(num_games, -1, cells)[:, :, board]
                agree = (
                    np.array_equal(planes, game.observe(images).reshape(num_games, -1, cells))
                    and np.array_equal(game.legal_action_mask(states)[:, policy], game.legal_action_mask(images))
                    and np.array_equal(game.returns(states), game.returns(images)[:, :: -1 if colours_swap else 1])
                )
                self.require(agree, f"symmetry {index}: the image of a game does not look like the game's image")
                live = ply_actions >= 0
                for batch, moves in ((states, ply_actions[live]), (images, image_of[ply_actions[live]])):
                    stepped = batch[live]
                    self.play(stepped, moves)
                    batch[live] = stepped

    # ---- text and truth ----------------------------------------------------------------------------------------

    def text(self, states: Array) -> None:
        game, before = self.game, states.copy()
        for state, mask in zip(states, game.legal_action_mask(states), strict=True):
            legal = [int(action) for action in np.flatnonzero(mask)]
            moves = [game.action_to_string(state, action) for action in legal]
            self.require(len(set(moves)) == len(legal), "two legal actions are written alike")
            parsed = [game.parse_action(state, move) for move in moves]
            self.require(parsed == legal, "parse_action does not undo action_to_string")
            plain, colored = game.render(state), game.render(state, color=True)
            self.require(plain.strip() and colored.strip(), "render draws nothing")
            self.require("\x1b" not in plain, "render uses ANSI colours although color is False")
            line = game.state_to_string(state)
            self.require(line.strip() and len(line.splitlines()) == 1, "state_to_string is not one line of text")
            try:
                again = game.parse_state(line)
            except ParseError as error:
                raise GameContractError(f"{game.spec.name}: parse_state refuses a position played: {error}") from error
            one = np.array([state], dtype=game.dtype)
            agree = (  # not every field need be equal: the last move, for one, may be no part of the text
                game.state_to_string(again[0]) == line
                and all(np.array_equal(again[field], one[field]) for field in REQUIRED_FIELDS)
                and all(np.array_equal(f(again), f(one)) for f in (game.hash, game.legal_action_mask, game.returns))
            )
            self.require(agree, f"parse_state does not undo state_to_string for {line!r}")
        self.require(_same(before, states), "drawing or writing a state changes it")
        for nonsense in ("", "\x00", "no such thing"):
            for parse in (game.parse_state, lambda text: game.parse_action(states[0], text)):
                try:
                    parse(nonsense)
                except (ParseError, IllegalActionError):
                    continue
                self.require(False, f"a parser accepts {nonsense!r}")

    def solver(self, states: Array) -> None:
        """Shapes, and that scores agree in sign with the results of games and with the scores one ply later."""
        game = self.game
        if not game.can_solve:
            try:
                game.solve(states)
            except UnsupportedError:
                return
            self.require(False, "can_solve is False, yet solve answers")
        mask, scores = game.legal_action_mask(states), game.solve(states)
        is_array = scores.shape == mask.shape and scores.dtype == np.int32
        self.require(is_array, f"solve gives {scores.dtype} {scores.shape}, not int32 {mask.shape}")
        self.require(np.array_equal(scores > ILLEGAL_SCORE, mask), "solve does not mark just the illegal moves")
        rows, actions = np.nonzero(mask)
        children = states[rows]
        game.step(children, actions)
        best, mover = game.solve(children).max(axis=1), states["to_play"][rows]
        values = np.where(children["to_play"] == mover, np.sign(best), -np.sign(best))
        values = np.where(children["terminated"], np.sign(game.returns(children)[np.arange(len(rows)), mover]), values)
        agree = np.array_equal(np.sign(scores[rows, actions]), values)
        self.require(agree, "solve disagrees with the results of the games or with itself one ply later")


def _same(a: Array, b: Array) -> bool:
    """Whether two arrays of states are equal in every field."""
    return all(np.array_equal(a[field], b[field]) for field in a.dtype.names or ())
