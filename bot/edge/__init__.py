"""Touches the world: one effect or one sense a file."""
