"""What the bot decides. Pure: no clock, no chance, no input or output, no numpy, no logging."""
