"""The operator console: what the desk shows, drawn in a terminal."""
