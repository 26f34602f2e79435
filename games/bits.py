"""Words of 64 bits as sets: one instruction each where numba compiles, and plain Python where it does not."""

from __future__ import annotations

import numpy as np
from numba import types
from numba.extending import intrinsic, overload


def popcount(_word: np.uint64) -> int:
    """How many bits of a word are set."""
    return int(_word).bit_count()


def lowest(_word: np.uint64) -> int:
    """The number of the lowest bit of a word that is not zero."""
    return (int(_word) & -int(_word)).bit_length() - 1


def highest(_word: np.uint64) -> int:
    """The number of the highest bit of a word that is not zero."""
    return int(_word).bit_length() - 1


@intrinsic
def _ctpop(_context, _word):
    return types.int64(types.uint64), lambda _context, builder, _signature, args: builder.ctpop(args[0])


@intrinsic
def _cttz(_context, _word):
    return types.int64(types.uint64), lambda context, builder, _signature, args: builder.cttz(args[0], _true(context))


@intrinsic
def _ctlz(_context, _word):
    return types.int64(types.uint64), lambda context, builder, _signature, args: builder.ctlz(args[0], _true(context))


def _true(context):
    """Tells those two that the word is not zero."""
    return context.get_constant(types.boolean, 1)


overload(popcount)(lambda _word: lambda _word: _ctpop(_word))  # type: ignore[reportCallIssue]
overload(lowest)(lambda _word: lambda _word: _cttz(_word))  # type: ignore[reportCallIssue]
overload(highest)(lambda _word: lambda _word: 63 - _ctlz(_word))  # type: ignore[reportCallIssue]
