"""All that a console or a CLI may see and say: read-only views and the command client."""
