"""The oracles of indicators and of models as the one that the reactor asks."""

from __future__ import annotations

from typing import Any

from bot.core.turn import Question, ScoreQuestion
from bot.learn.indicators import Indicators, Oracle
from bot.learn.scorer import Scorer


class Oracles:
    """Hands each question to the oracle that it is for."""

    def __init__(self, indicators: Oracle, scorer: Scorer) -> None:
        self.indicators, self.scorer = indicators, scorer

    def ask(
        self, question: Question | ScoreQuestion, at: int, base: Indicators | None = None
    ) -> tuple[Any | None, Indicators | None]:
        """Return the answer, or None, and the symbol's next state, None where it stays."""
        if isinstance(question, ScoreQuestion):
            return self.scorer.ask(question, at), None
        return self.indicators.ask(question, at, base)

    def swap(self, states: dict[str, Indicators]) -> None:
        """Make answered questions count."""
        self.indicators.swap(states)
