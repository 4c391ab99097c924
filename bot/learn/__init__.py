"""What the bot believes: indicators and, later, models. Pure numerics, no input or output."""
