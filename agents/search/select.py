"""Which move a simulation follows: AlphaZero's PUCT, and Gumbel AlphaZero's two rules.

PUCT: Silver et al., 2018, "A general reinforcement learning algorithm …". Gumbel: Danihelka et al., 2022, "Policy
improvement by planning with Gumbel"; as mctx's defaults but without rescaling of values, which here are in [-1, 1]
already.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from agents.search.config import SearchConfig
from agents.search.tree import NO_CHILD, back_up, kernel, part

PUCT, GUMBEL = 0, 1


class Rule(NamedTuple):
    """The numbers of ``SearchConfig`` that the kernels need."""

    policy: int
    c_visit: float
    c_scale: float
    c_init: float
    c_base: float
    fpu_reduction: float
    noise_fraction: float
    forced_playouts: float
    c_backup: float

    @staticmethod
    def of(config: SearchConfig) -> Rule:
        policy = GUMBEL if config.policy == "gumbel" else PUCT
        fraction, forced = config.dirichlet_fraction, config.forced_playouts
        if not config.add_noise:
            fraction = forced = 0.0
        values = config.c_visit, config.c_scale, config.c_init, config.c_base, config.fpu_reduction
        return Rule(policy, *values, fraction, forced, config.c_backup)


def considered_visits(max_considered: int, simulations: int) -> np.ndarray:
    """Sequential halving as a table, int32 ``[max_considered + 1, simulations]``.

    Entry ``[m, t]`` is the number of visits that a root move must have to be tried by simulation ``t`` when ``m``
    moves are considered: every surviving move is visited in turn, the better half survives each phase.
    """
    table = np.zeros((max_considered + 1, simulations), dtype=np.int32)
    for considered in range(max_considered + 1):
        table[considered] = halving(considered, simulations)
    return table


def halving(considered: int, simulations: int) -> list[int]:
    """One row of ``considered_visits``."""
    if considered <= 1:
        return list(range(simulations))
    phases = int(np.ceil(np.log2(considered)))
    sequence: list[int] = []
    visits = [0] * considered
    surviving = considered
    while len(sequence) < simulations:
        for _ in range(max(1, simulations // (phases * surviving))):
            sequence.extend(visits[:surviving])
            for i in range(surviving):
                visits[i] += 1
        surviving = max(2, surviving // 2)
    return sequence[:simulations]


@part
def explored_prior(tree, s, node, e, rule, noise):
    """The prior of an edge; at the root, mixed with ``noise`` ``[A]``."""
    prior = np.float64(tree.prior[s, e])
    if node == 0 and rule.noise_fraction > 0.0:
        prior = (1.0 - rule.noise_fraction) * prior + rule.noise_fraction * noise[tree.action[s, e]]
    return prior


@part
def exploration(tree, s, node, rule):
    """A node's mean value, its visits ``N`` with its own evaluation, and ``c(N) sqrt(N)``."""
    first, count = tree.edge_start[s, node], tree.edge_count[s, node]
    visits, value_sum = 1, np.float64(tree.raw_value[s, node])
    for e in range(first, first + count):
        visits += tree.visits[s, e]
        value_sum += tree.value_sum[s, e]
    rate = np.log((1.0 + visits + rule.c_base) / rule.c_base) + rule.c_init
    return value_sum / visits, visits, rate * np.sqrt(np.float64(visits))


@part
def forced_squared(tree, s, e, rule, noise, visits):
    """The square of how often a root edge must have been tried once it has been; ``visits`` has the root's own."""
    if rule.forced_playouts == 0.0 or noise[tree.action[s, e]] == 0.0:
        return 0.0
    return rule.forced_playouts * explored_prior(tree, s, 0, e, rule, noise) * (visits - 1)


@part
def puct_edge(tree, s, node, rule, noise):
    """The edge with the highest Q + U; at the root, before it the first that lacks forced playouts."""
    value, visits, explore = exploration(tree, s, node, rule)
    unvisited = value - rule.fpu_reduction
    first, count = tree.edge_start[s, node], tree.edge_count[s, node]
    best, best_score = first, -np.inf
    for e in range(first, first + count):
        n = tree.visits[s, e]
        if node == 0 and n > 0 and n * n < forced_squared(tree, s, e, rule, noise, visits):
            return e
        prior = explored_prior(tree, s, node, e, rule, noise)
        q = tree.value_sum[s, e] / n if n > 0 else unvisited
        score = q + explore * prior / (1.0 + n)
        if score > best_score:
            best, best_score = e, score
    return best


@part
def visit_shares(tree, s, best, rule, noise, out):
    """Writes the shares of visits of all root edges to ``out`` ``[A]``, without those forced playouts but for which an
    edge would still not have been preferred to ``best``, the most visited one; and of an edge that may have been forced
    one visit that is left says nothing (Wu, 2019, section 3.2)."""
    first, count = tree.edge_start[s, 0], tree.edge_count[s, 0]
    _, visits, explore = exploration(tree, s, 0, rule)
    most = tree.visits[s, best]
    to_beat = tree.value_sum[s, best] / max(most, 1)
    to_beat += explore * explored_prior(tree, s, 0, best, rule, noise) / (1.0 + most)
    total = 0
    for e in range(first, first + count):
        n = tree.visits[s, e]
        forced = forced_squared(tree, s, e, rule, noise, visits)
        if e != best and n > 0 and forced > 0.0:
            prior, q = explored_prior(tree, s, 0, e, rule, noise), tree.value_sum[s, e] / n
            for _ in range(int(np.sqrt(forced))):
                if n == 0 or q + explore * prior / n >= to_beat:
                    break
                n -= 1
            n = n if n > 1 else 0
        out[tree.action[s, e]] = n
        total += n
    for e in range(first, first + count):
        out[tree.action[s, e]] /= max(total, 1)


@part
def mixed_value(tree, s, node):
    """What unvisited moves are taken to be worth (the paper's v_mix), and the most visits of any edge."""
    first, count = tree.edge_start[s, node], tree.edge_count[s, node]
    visits, most = 0, 0
    prior_sum, weighted = 0.0, 0.0
    for e in range(first, first + count):
        n = tree.visits[s, e]
        if n > 0:
            visits += n
            most = max(most, n)
            prior = max(np.float64(tree.prior[s, e]), 1e-12)
            prior_sum += prior
            weighted += prior * tree.value_sum[s, e] / n
    raw = np.float64(tree.raw_value[s, node])
    if visits == 0:
        return raw, most
    return (raw + visits * weighted / prior_sum) / (1.0 + visits), most


@part
def improved_logit(tree, s, e, mixed, most, rule):
    """logit + sigma(completed Q) of one edge."""
    n = tree.visits[s, e]
    q = tree.value_sum[s, e] / n if n > 0 else mixed
    return np.float64(tree.logit[s, e]) + (rule.c_visit + most) * rule.c_scale * q


@part
def gumbel_root_edge(tree, s, rule, noise, wanted_visits):
    """The highest noise + logit + sigma(Q) among the root edges with ``wanted_visits`` visits in this search."""
    mixed, most = mixed_value(tree, s, 0)
    first, count = tree.edge_start[s, 0], tree.edge_count[s, 0]
    best, best_score = -1, -np.inf
    for e in range(first, first + count):
        if tree.visits[s, e] - tree.start_visits[s, e] == wanted_visits:
            score = noise[tree.action[s, e]] + improved_logit(tree, s, e, mixed, most, rule)
            if score > best_score:
                best, best_score = e, score
    return best


@part
def gumbel_interior_edge(tree, s, node, rule, scratch):
    """The edge whose share of visits lags most behind the improved policy. Overwrites ``scratch``, float64 ``[A]``."""
    mixed, most = mixed_value(tree, s, node)
    first, count = tree.edge_start[s, node], tree.edge_count[s, node]
    highest, visits = -np.inf, 0
    for i in range(count):
        scratch[i] = improved_logit(tree, s, first + i, mixed, most, rule)
        highest = max(highest, scratch[i])
        visits += tree.visits[s, first + i]
    total = 0.0
    for i in range(count):
        scratch[i] = np.exp(scratch[i] - highest)
        total += scratch[i]
    best, best_score = first, -np.inf
    for i in range(count):
        score = scratch[i] / total - tree.visits[s, first + i] / (1.0 + visits)
        if score > best_score:
            best, best_score = first + i, score
    return best


@kernel
def descend(
    tree, rows, rule, noise, lines, line, done, node_states, out_rows, out_nodes, out_edges, out_actions, out_states
):
    """One descent in each of ``rows`` ``[K]``, down to an edge without a child or to the end of the game.

    ``noise`` ``[S, A]``; ``lines`` int32 ``[L, simulations]``, of which ``line`` ``[S]`` is the row's own, and ``done``
    int32 ``[S]`` say which visit count the Gumbel root tries next. Returns how many descents found an edge: their rows,
    nodes, edges, actions and the states of those nodes come first in the outputs ``[K]``. The other descents were
    backed up; their rows stand at the end.
    """
    scratch = np.empty(noise.shape[1])
    first, last = 0, len(rows)
    for k in range(len(rows)):
        s = rows[k]
        node = 0
        while True:
            if rule.policy == PUCT:
                edge = puct_edge(tree, s, node, rule, noise[s])
            elif node == 0:
                edge = gumbel_root_edge(tree, s, rule, noise[s], lines[line[s], done[s]])
            else:
                edge = gumbel_interior_edge(tree, s, node, rule, scratch)
            child = tree.child[s, edge]
            if child == NO_CHILD:
                out_rows[first] = s
                out_nodes[first] = node
                out_edges[first] = edge
                out_actions[first] = tree.action[s, edge]
                for b in range(node_states.shape[2]):
                    out_states[first, b] = node_states[s, node, b]
                first += 1
                break
            node = child
            if tree.terminal[s, node]:
                last -= 1
                out_rows[last] = s
                back_up(tree, s, node, rule)
                break
    return first


@kernel
def summarise_roots(tree, rows, rule, noise, out_action, out_weights, out_visits, out_value):
    """What the finished searches say: best move, policy target, visit counts and value of each root ``[K]``.

    Gumbel: the best of the most visited moves; softmax(logit + sigma(completed Q)); its expected completed Q.
    PUCT: the most visited move; the visit distribution without forced playouts; the mean value of all simulations.
    """
    for k in range(len(rows)):
        s = rows[k]
        first, count = tree.edge_start[s, 0], tree.edge_count[s, 0]
        mixed, most = mixed_value(tree, s, 0)
        highest, most_now, visits = -np.inf, -1, 0
        value_sum = np.float64(tree.raw_value[s, 0])
        for e in range(first, first + count):
            out_visits[k, tree.action[s, e]] = tree.visits[s, e]
            visits += tree.visits[s, e]
            value_sum += tree.value_sum[s, e]
            highest = max(highest, improved_logit(tree, s, e, mixed, most, rule))
            most_now = max(most_now, tree.visits[s, e] - tree.start_visits[s, e])
        if rule.policy == PUCT:
            best = first
            for e in range(first, first + count):
                if tree.visits[s, e] > tree.visits[s, best]:
                    best = e
            visit_shares(tree, s, best, rule, noise[s], out_weights[k])
            out_action[k] = tree.action[s, best]
            out_value[k] = value_sum / (1.0 + visits)
        else:
            total, value = 0.0, 0.0
            for e in range(first, first + count):
                weight = np.exp(improved_logit(tree, s, e, mixed, most, rule) - highest)
                n = tree.visits[s, e]
                total += weight
                value += weight * (tree.value_sum[s, e] / n if n > 0 else mixed)
                out_weights[k, tree.action[s, e]] = weight
            for e in range(first, first + count):
                out_weights[k, tree.action[s, e]] /= total
            out_value[k] = value / total
            out_action[k] = tree.action[s, gumbel_root_edge(tree, s, rule, noise[s], most_now)]
