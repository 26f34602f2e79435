"""Choosing a move. ``agents.make("mcts:simulations=800", game)`` is where to start."""

from agents.core import Agent, Evaluation, Evaluator, SearchResult
from agents.registry import available, make

__all__ = ["Agent", "Evaluation", "Evaluator", "SearchResult", "available", "make"]
