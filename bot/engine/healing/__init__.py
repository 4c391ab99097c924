"""Healing, the doing of it: every module here declares one remedy, and carries it out when told.

When a remedy may be tried is decided in `bot/core/healing.py`. To add one, add a module with a
``TREATMENT``; docs/healing.md shows how.
"""

from bot.engine.healing.treatment import Means, Treatment, treatments

__all__ = ["Means", "Treatment", "treatments"]
