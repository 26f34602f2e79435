"""An exact Connect Four solver: the score of every move in any position.

The method is the one that Pascal Pons' tutorial "Solving Connect 4: how to build a perfect AI" teaches: bitboards,
a null-window negamax that bisects the score, moves that lose at once left out, moves that make most threats first,
and a transposition table. Here the search is a loop over an explicit stack that can pause and resume, so that
Ctrl-C is heard within a moment even while the empty board is being solved.

A *score* is for the player to move: positive when they win with perfect play, negative when they lose, 0 for a draw.
A win scores one more than the number of stones the winner has left after the winning move, so a sooner win (or a
later loss) is better; scores lie in -21 … 21.

Boards are int64: column ``c`` (0 … 6, left to right) has bits ``7 * c`` (bottom row) to ``7 * c + 5`` (top row);
bit ``7 * c + 6`` is always empty. ``mine`` holds the stones of the player to move, ``mask`` those of both.
"""

from __future__ import annotations

import functools

import numpy as np
from numba import njit

from games.core import ILLEGAL_SCORE, ArenaError

Array = np.ndarray

WIDTH = 7
HEIGHT = 6
CELLS = WIDTH * HEIGHT
COLUMN_BITS = HEIGHT + 1
BOTTOM = sum(1 << (COLUMN_BITS * column) for column in range(WIDTH))
"""The bottom cell of every column."""
BOARD = BOTTOM * ((1 << HEIGHT) - 1)
"""Every cell of the board."""
COLUMN = (1 << HEIGHT) - 1
"""Every cell of column 0."""
MIRROR_PLIES = 18
"""Up to how many stones a position shares its table entry with its mirror image; later the two seldom both occur."""
UNKNOWN = -128
"""What a search that is not finished yet returns in place of a score."""

NODES_BETWEEN_INTERRUPTS = 2_000_000
"""How many positions are searched before Python may look at signals again."""

# A frame of the stack, one row per ply below the root.
MINE, MASK, BETA, BEST, KEY, SINCE, NEXT, COUNT, MOVES = range(9)
FRAME = MOVES + WIDTH
# The registers of a search, kept in an array so that it can pause: see `advance`.
DEPTH, LOW, HIGH, TARGET, NODES = range(5)
REGISTERS = 5


@njit(cache=True)
def winning_cells(stones: int, mask: int) -> int:
    """The empty cells, reachable now or later, that would complete four in a row for ``stones``."""
    cells = (stones << 1) & (stones << 2) & (stones << 3)
    for shift in (COLUMN_BITS - 1, COLUMN_BITS, COLUMN_BITS + 1):
        pair = (stones << shift) & (stones << 2 * shift)
        cells |= pair & (stones << 3 * shift)
        cells |= pair & (stones >> shift)
        pair = (stones >> shift) & (stones >> 2 * shift)
        cells |= pair & (stones << shift)
        cells |= pair & (stones >> 3 * shift)
    return cells & (BOARD ^ mask)


@njit(cache=True)
def count_bits(board: int) -> int:
    """How many bits are set (LLVM turns the loop into one instruction)."""
    count = 0
    while board:
        board &= board - 1
        count += 1
    return count


@njit(cache=True)
def mirror(board: int) -> int:
    """The board with its columns reversed; works on keys as well, since it moves whole columns of seven bits."""
    column = (1 << COLUMN_BITS) - 1
    image = 0
    for _ in range(WIDTH):
        image = (image << COLUMN_BITS) | (board & column)
        board >>= COLUMN_BITS
    return image


@njit(cache=True)
def canonical_key(mine: int, mask: int) -> int:
    """A number below 2**49 and above 0 that is the same for a position and its mirror image, and for no others."""
    key = mine + mask + BOTTOM
    return min(key, mirror(key))


@njit(cache=True)
def _push_moves(stack: Array, depth: int, mine: int, mask: int, moves: int) -> None:
    """Sorts ``moves`` into the frame: those that make most threats first, central ones first among equals."""
    count = 0
    for i in range(WIDTH):
        # 3, 2, 4, 1, 5, 0, 6
        column = WIDTH // 2 - (i + 1) // 2 if i % 2 else WIDTH // 2 + i // 2
        move = moves & (COLUMN << (COLUMN_BITS * column))
        if not move:
            continue
        threats = count_bits(winning_cells(mine | move, mask))
        # Insertion sort on (threats, move) packed into one number; `>>` keeps equals in their first order.
        packed = (threats << 49) | move
        slot = count
        while slot > 0 and (stack[depth, MOVES + slot - 1] >> 49) < threats:
            stack[depth, MOVES + slot] = stack[depth, MOVES + slot - 1]
            slot -= 1
        stack[depth, MOVES + slot] = packed
        count += 1
    stack[depth, COUNT] = count
    stack[depth, NEXT] = 0


@njit(cache=True)
def _look_up(table: Array, key: int) -> int:
    """The bounds known for ``key``, packed as ``(lower + 32) << 6 | (upper + 32)``; 63 when nothing is known."""
    buckets = table.shape[0] // 2
    slot, rest = 2 * (key % buckets), key // buckets
    if (table[slot] >> 18) == rest:
        return int(table[slot] & 4095)
    if (table[slot + 1] >> 18) == rest:
        return int(table[slot + 1] & 4095)
    return 63


@njit(cache=True)
def _remember(table: Array, key: int, value: int, is_lower: bool, work: int) -> None:
    """Writes one bound into the table, beside the other bound when the position is there already.

    The table is a row of buckets of two entries. The first keeps what took most ``work`` (nodes searched) to find
    out, the second what came last. An entry is ``key // buckets``, the bit length of the work (6 bits), the lower
    and the upper bound (6 bits each); the bucket's index is ``key % buckets``, so that no two keys are confused.
    """
    buckets = table.shape[0] // 2
    slot, rest = 2 * (key % buckets), key // buckets
    effort = 0
    while work:
        work >>= 1
        effort += 1
    first = table[slot]
    bounds = 63
    if (first >> 18) == rest:
        bounds = first & 4095
    elif (table[slot + 1] >> 18) == rest:
        bounds = table[slot + 1] & 4095
    lower, upper = bounds >> 6, bounds & 63
    if is_lower:
        lower = max(lower, value + 32)
    else:
        upper = min(upper, value + 32)
    entry = (rest << 18) | (effort << 12) | (lower << 6) | upper
    if (first >> 18) == rest:
        table[slot] = entry
    elif effort >= (first >> 12) & 63:
        table[slot], table[slot + 1] = entry, first
    else:
        table[slot + 1] = entry


@njit(cache=True)
def _search(stack: Array, registers: Array, table: Array, root_ply: int, budget: int) -> int:
    """Asks whether the score of the position in the stack is at least its ``BETA``; pauses after ``budget`` nodes.

    Only the answer ``>= BETA`` or ``< BETA`` is exact; the number is a bound in that direction. The player to move
    must have no winning move at once, at the root too; every child that is searched keeps that so.
    Returns UNKNOWN when it paused; call it again to go on.
    """
    depth = registers[DEPTH]
    nodes = 0
    while nodes < budget:
        nodes += 1
        mine, mask, beta = stack[depth, MINE], stack[depth, MASK], stack[depth, BETA]
        ply = root_ply + depth
        value = UNKNOWN
        possible = (mask + BOTTOM) & BOARD
        threats = winning_cells(mine ^ mask, mask)
        forced = possible & threats
        if forced:
            possible = 0 if forced & (forced - 1) else forced
        moves = possible & ~(threats >> 1)  # never play below a cell where the opponent would win
        worst, best = -((CELLS - 2 - ply) // 2), (CELLS - 1 - ply) // 2
        key = 0
        if not moves:
            value = -((CELLS - ply) // 2)
        elif ply >= CELLS - 2:
            value = 0
        elif worst >= beta:
            value = worst
        elif best < beta:
            value = best
        else:
            key = canonical_key(mine, mask) if ply <= MIRROR_PLIES else mine + mask + BOTTOM
            bounds = _look_up(table, key)
            if (bounds >> 6) - 32 >= beta:
                value = (bounds >> 6) - 32
            elif (bounds & 63) - 32 < beta:
                value = (bounds & 63) - 32
        if value == UNKNOWN:
            stack[depth, KEY] = key
            stack[depth, SINCE] = registers[NODES] + nodes
            stack[depth, BEST] = UNKNOWN
            _push_moves(stack, depth, mine, mask, moves)
        else:  # go up as far as the value settles things
            while True:
                if depth == 0:
                    registers[DEPTH] = 0
                    registers[NODES] += nodes
                    return value
                depth -= 1
                value = max(-value, stack[depth, BEST])
                if value < stack[depth, BETA] and stack[depth, NEXT] < stack[depth, COUNT]:
                    stack[depth, BEST] = value
                    break
                work = registers[NODES] + nodes - stack[depth, SINCE]
                _remember(table, stack[depth, KEY], value, value >= stack[depth, BETA], work)
        move = stack[depth, MOVES + stack[depth, NEXT]] & BOARD
        stack[depth, NEXT] += 1
        stack[depth + 1, MINE] = stack[depth, MINE] ^ stack[depth, MASK]
        stack[depth + 1, MASK] = stack[depth, MASK] | move
        stack[depth + 1, BETA] = 1 - stack[depth, BETA]
        depth += 1
    registers[DEPTH] = depth
    registers[NODES] += nodes
    return UNKNOWN


@njit(cache=True)
def start(mask: int, at_least: int, registers: Array) -> None:
    """Prepares the registers for a new position, whose score is known to be ``at_least`` that."""
    ply = count_bits(mask)
    registers[LOW] = max(at_least, -((CELLS - ply) // 2))
    registers[HIGH] = (CELLS + 1 - ply) // 2
    registers[DEPTH] = -1


@njit(cache=True)
def advance(mine: int, mask: int, stack: Array, registers: Array, table: Array, budget: int) -> int:
    """Goes on with the position that ``start`` was called for; its score, or UNKNOWN after ``budget`` nodes."""
    ply = count_bits(mask)
    if ply == CELLS:
        return 0
    if winning_cells(mine, mask) & (mask + BOTTOM):
        return (CELLS + 1 - ply) // 2
    while registers[LOW] < registers[HIGH]:
        if registers[DEPTH] < 0:
            low, high = registers[LOW], registers[HIGH]
            middle = low + (high - low + 1) // 2
            # Scores near 0 take longest to prove and split the rest best, so the bisection leans towards them.
            if middle <= 0 and -(-low // 2) < middle:
                middle = -(-low // 2)
            elif middle > 0 and high // 2 >= middle:
                middle = high // 2 + 1
            registers[DEPTH] = 0
            registers[TARGET] = middle
            stack[0, MINE], stack[0, MASK], stack[0, BETA] = mine, mask, middle
        value = _search(stack, registers, table, ply, budget)
        if value == UNKNOWN:
            return UNKNOWN
        if value >= registers[TARGET]:
            registers[LOW] = value
        else:
            registers[HIGH] = value
        registers[DEPTH] = -1
    return registers[LOW]


class Solver:
    """Solves positions one after another, and keeps what it learns in a transposition table between calls.

    Not safe for several threads at once: give each its own.

    Args:
        table_megabytes: size of the table. Pages are taken from the system only as they fill.
        use_book: answer positions in the shipped opening book without a search.

    Raises:
        ArenaError: ``table_megabytes`` is not positive.
    """

    def __init__(self, table_megabytes: int = 256, *, use_book: bool = True) -> None:
        if table_megabytes < 1:
            raise ArenaError(f"The solver's table cannot have {table_megabytes} megabytes; give it 1 or more.")
        # An odd number of buckets: keys differ mostly by powers of two, which an even number would fold together.
        self._table = np.zeros(table_megabytes * 2**20 // 8 - 2, np.int64)
        self._stack = np.zeros((CELLS + 1, FRAME), np.int64)
        self._registers = np.zeros(REGISTERS, np.int64)
        self._book = _load_book() if use_book else None

    @property
    def nodes(self) -> int:
        """How many positions have been searched so far."""
        return int(self._registers[NODES])

    def score(self, mine: int, mask: int, *, at_least: int = -CELLS) -> int:
        """The score of one position that is not over, for the player to move.

        ``at_least`` is a lower bound that the caller knows; it saves work, and a wrong one gives a wrong score.
        """
        if self._book is not None and (known := self._book.get(canonical_key(mine, mask))) is not None:
            return known
        start(mask, at_least, self._registers)
        while True:
            # Between calls Python handles signals, so Ctrl-C stops even a solve of many minutes.
            score = advance(mine, mask, self._stack, self._registers, self._table, NODES_BETWEEN_INTERRUPTS)
            if score != UNKNOWN:
                return int(score)

    def outcome(self, mine: int, mask: int) -> int:
        """Who wins a position that is not over: 1 the mover, -1 the other, 0 nobody. Quicker than ``score``."""
        if self._book is not None and (known := self._book.get(canonical_key(mine, mask))) is not None:
            return (known > 0) - (known < 0)
        if mask.bit_count() == CELLS or int(winning_cells(mine, mask)) & (mask + BOTTOM):
            return int(mask.bit_count() < CELLS)
        return 1 if self._reaches(mine, mask, 1) else 0 if self._reaches(mine, mask, 0) else -1

    def _reaches(self, mine: int, mask: int, at_least: int) -> bool:
        """Whether the score is at least that, for a player who cannot win at once."""
        self._registers[DEPTH] = 0
        self._stack[0, [MINE, MASK, BETA]] = mine, mask, at_least
        value = UNKNOWN
        while value == UNKNOWN:
            ply = mask.bit_count()
            value = _search(self._stack, self._registers, self._table, ply, NODES_BETWEEN_INTERRUPTS)
        return value >= at_least

    def move_scores(self, mine: int, mask: int) -> Array:
        """int32 ``[7]``: the score of dropping a stone into each column; ILLEGAL_SCORE where it is full."""
        scores = np.full(WIDTH, ILLEGAL_SCORE, np.int32)
        ply = mask.bit_count()
        wins = int(winning_cells(mine, mask))
        for column in range(WIDTH):
            move = (mask + (1 << (COLUMN_BITS * column))) & (COLUMN << (COLUMN_BITS * column))
            if move & wins:
                scores[column] = (CELLS + 1 - ply) // 2
            elif move:
                scores[column] = -self.score(mine ^ mask, mask | move)
        return scores

    def solve(self, states: Array) -> Array:
        """int32 ``[B, 7]``: the score of every move for the player to move, in Connect Four ``states`` ``[B]``.

        ILLEGAL_SCORE where a move is illegal, and everywhere once the game is over. Solving a position with few
        stones that is not in the book may take seconds to minutes.
        """
        scores = np.full((len(states), WIDTH), ILLEGAL_SCORE, np.int32)
        for row, state in enumerate(states):
            if not state["terminated"]:
                first, second = (int(stones) for stones in state["stones"])
                scores[row] = self.move_scores(second if state["to_play"] else first, first | second)
        return scores


@functools.cache
def _load_book() -> dict[int, int]:
    from games.solved import load_book  # here, because games.solved is built on this module's games

    return load_book()


@functools.cache
def default_solver() -> Solver:
    """The solver that `solve` uses, made when it is first needed."""
    return Solver()


def solve(states: Array) -> Array:
    """`Solver.solve` with the one table of this process."""
    return default_solver().solve(states)
