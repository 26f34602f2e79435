"""The search once more, as plain as it can be: one game, one node object at a time, no batch, no cache.

PUCT (Silver et al., 2018) and Gumbel AlphaZero (Danihelka et al., 2022). The real search must make the same visits.
"""

from __future__ import annotations

import math

import numpy as np

from agents.search import shaped_returns
from agents.search.select import considered_visits


class Node:
    def __init__(self, game, evaluator, config, state):
        self.state, self.to_play, self.terminal = state, int(state["to_play"][0]), bool(state["terminated"][0])
        self.actions, self.children, self.visits, self.sums = [], {}, {}, {}
        if self.terminal:
            returns = shaped_returns(game.returns(state), state["ply"], game.spec.max_plies, config.length_weight)
            self.value = float(returns[0, self.to_play])
            return
        mask = game.legal_action_mask(state)
        evaluation = evaluator.evaluate(state, mask)
        self.value = float(evaluation.value[0])
        self.actions = [int(a) for a in np.flatnonzero(mask[0])]
        self.logit = {a: float(evaluation.prior_logits[0, a]) for a in self.actions}
        highest = max(self.logit.values())
        total = sum(math.exp(self.logit[a] - highest) for a in self.actions)
        self.prior = {a: float(np.float32(math.exp(self.logit[a] - highest) / total)) for a in self.actions}
        self.visits, self.sums = dict.fromkeys(self.actions, 0), dict.fromkeys(self.actions, 0.0)
        self.start = dict(self.visits)  # at the root: the visits before this search

    def q(self, a, otherwise):
        return self.sums[a] / self.visits[a] if self.visits[a] else otherwise

    def mixed_value(self):
        visited = [a for a in self.actions if self.visits[a]]
        n = sum(self.visits.values())
        if not n:
            return self.value
        weighted = sum(self.prior[a] * self.q(a, 0.0) for a in visited) / sum(self.prior[a] for a in visited)
        return (self.value + n * weighted) / (1 + n)

    def improved_logits(self, config):
        mixed, scale = self.mixed_value(), (config.c_visit + max(self.visits.values())) * config.c_scale
        return {a: self.logit[a] + scale * self.q(a, mixed) for a in self.actions}

    def improved_policy(self, config):
        logits = self.improved_logits(config)
        weights = {a: math.exp(logits[a] - max(logits.values())) for a in self.actions}
        return {a: weights[a] / sum(weights.values()) for a in self.actions}


def worth(node, config):
    """A node's own value, and its visited moves' weighted by softmax(logit + (c_visit + most) * c_backup * q)."""
    n = sum(node.visits.values())
    if not n:
        return node.value
    scale = (config.c_visit + max(node.visits.values())) * config.c_backup
    logits = {a: node.logit[a] + scale * node.q(a, 0.0) for a in node.actions if node.visits[a]}
    weights = {a: math.exp(logits[a] - max(logits.values())) for a in logits}
    weighted = sum(weights[a] * node.q(a, 0.0) for a in weights) / sum(weights.values())
    return (node.value + n * weighted) / (1 + n)


def puct_parts(node, config, is_root, noise):
    """The exploration factor, the priors, and how often each move must be visited once it has been."""
    n = sum(node.visits.values())
    explore = (math.log((2 + n + config.c_base) / config.c_base) + config.c_init) * math.sqrt(1 + n)
    share = config.dirichlet_fraction if is_root and config.add_noise else 0.0
    priors = {a: (1 - share) * node.prior[a] + share * noise[a] for a in node.actions}
    force = config.forced_playouts if is_root and config.add_noise else 0.0
    return explore, priors, {a: math.sqrt(force * priors[a] * n) if noise[a] else 0.0 for a in node.actions}


def target(node, config, noise):
    """PUCT's policy target: visits, without the forced ones that the others did not make worth their while."""
    visits, most = dict(node.visits), max(node.actions, key=lambda a: node.visits[a])
    explore, priors, forced = puct_parts(node, config, True, noise)

    def score(a, n):
        return node.q(a, 0.0) + explore * priors[a] / (1 + n)

    for a in node.actions:
        for _ in range(int(forced[a])):
            if a != most and visits[a] and score(a, visits[a] - 1) < score(most, visits[most]):
                visits[a] -= 1
        if a != most and visits[a] == 1 and any(forced.values()):
            visits[a] = 0
    return {a: visits[a] / sum(visits.values()) for a in node.actions}


def choose(node, config, is_root, noise, wanted):
    n = sum(node.visits.values())
    if config.policy == "puct":
        unvisited = (node.value + sum(node.sums.values())) / (1 + n) - config.fpu_reduction
        explore, priors, forced = puct_parts(node, config, is_root, noise)
        for a in node.actions:
            if 0 < node.visits[a] < forced[a]:
                return a
        return max(node.actions, key=lambda a: node.q(a, unvisited) + explore * priors[a] / (1 + node.visits[a]))
    if is_root:
        logits = node.improved_logits(config)
        candidates = [a for a in node.actions if node.visits[a] - node.start[a] == wanted]
        return max(candidates, key=lambda a: noise[a] + logits[a])
    policy = node.improved_policy(config)
    return max(node.actions, key=lambda a: policy[a] - node.visits[a] / (1 + n))


def search(game, evaluator, config, state, noise, simulations, root=None):
    """Returns the root after ``simulations`` simulations and the move; ``root`` goes on from an earlier search."""
    root = root or Node(game, evaluator, config, state)
    root.start = dict(root.visits)
    considered = min(config.max_considered, len(root.actions))
    schedule = considered_visits(config.max_considered, simulations)[considered]
    for simulation in range(simulations):
        node, path = root, []
        while not node.terminal:
            a = choose(node, config, node is root, noise, schedule[simulation])
            path.append((node, a))
            if a not in node.children:
                child = node.state.copy()
                game.step_unchecked(child, np.array([a]))
                node.children[a] = Node(game, evaluator, config, child)
                node = node.children[a]
                break
            node = node.children[a]
        for parent, a in reversed(path):
            below = parent.children[a]
            parent.visits[a] += 1
            if config.c_backup:
                value = worth(below, config)
                parent.sums[a] = parent.visits[a] * (value if parent.to_play == below.to_play else -value)
            else:
                parent.sums[a] += node.value if parent.to_play == node.to_play else -node.value
    if config.policy == "puct":
        return root, max(root.actions, key=lambda a: root.visits[a])
    most = max(root.visits[a] - root.start[a] for a in root.actions)
    return root, choose(root, config, True, noise, most)
