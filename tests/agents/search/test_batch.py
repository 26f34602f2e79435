"""The batch of waiting leaves against plain lists."""

from __future__ import annotations

import numpy as np

from agents.search.batch import Batch, legal_logits


def test_a_batch_is_what_lists_would_be_however_little_room_it_began_with() -> None:
    rng = np.random.default_rng(0)
    batch = Batch(first=100, room=1, state_bytes=5, num_actions=3)
    states, masks, keys, leaves = [], [], [], []
    for size in (4, 0, 9, 30):
        given = rng.integers(0, 256, (size, 5), dtype=np.uint8), rng.random((size, 3)) < 0.5
        given_keys = rng.integers(0, 2**63, size).astype(np.uint64)
        claimed = np.flatnonzero(rng.random(size) < 0.6)
        batch.add(claimed, *given, given_keys)
        states += given[0][claimed].tolist()
        masks += given[1][claimed].tolist()
        keys += given_keys[claimed].tolist()

        rows, nodes = rng.integers(0, 50, size), rng.integers(0, 9, size).astype(np.int32)
        # Some are known, and some wait for a position of the batch before or of the one after.
        starts = np.where(rng.random(size) < 0.3, rng.integers(0, 200, size), -1 - rng.integers(95, 105, size))
        batch.join(rows, nodes, starts)
        numbers = -1 - starts
        waits = (starts < 0) & (numbers >= 100) & (numbers < 100 + len(states))
        leaves += zip(rows[waits].tolist(), nodes[waits].tolist(), (numbers[waits] - 100).tolist(), strict=True)

    assert batch.end == 100 + len(states) == 100 + batch.num_positions
    assert batch.num_leaves == len(leaves) > 0
    assert (batch.states.tolist(), batch.masks.tolist(), batch.keys.tolist()) == (states, masks, keys)
    assert list(zip(batch.rows.tolist(), batch.nodes.tolist(), batch.positions.tolist(), strict=True)) == leaves


def test_only_logits_of_legal_moves_are_kept() -> None:
    rng = np.random.default_rng(1)
    masks, logits = rng.random((20, 7)) < 0.5, rng.normal(size=(20, 7)).astype(np.float32)
    kept, starts = legal_logits(masks, logits)
    assert starts.tolist() == [0, *np.cumsum(masks.sum(axis=1)).tolist()]
    assert kept.tolist() == logits[masks].tolist()
