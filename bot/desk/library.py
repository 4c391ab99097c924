"""Lets a program beside the bot settle, before all other imports, that SQLite is one library."""

from bot.store.database import only_library as only_library  # noqa: PLC0414 for the console
