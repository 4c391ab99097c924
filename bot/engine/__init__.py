"""The loop: events in, one transaction, effects out."""
