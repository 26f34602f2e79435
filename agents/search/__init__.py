"""Tree search over any game with any evaluator; see ``search.py``."""

from agents.search.analysis import Analysis, Analyst, Line
from agents.search.cache import EvaluationCache
from agents.search.config import TRAINED_WITH, SearchConfig, shaped_returns, trained_with
from agents.search.search import Search, SearchStats
from agents.search.shared import SharedSearch

__all__ = [
    "TRAINED_WITH",
    "Analysis",
    "Analyst",
    "EvaluationCache",
    "Line",
    "Search",
    "SearchConfig",
    "SearchStats",
    "SharedSearch",
    "shaped_returns",
    "trained_with",
]
