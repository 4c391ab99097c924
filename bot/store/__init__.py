"""What the bot remembers: SQLite, the only place with SQL that writes."""
