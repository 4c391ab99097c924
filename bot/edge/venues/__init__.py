"""Speaks to venues: requests, the one function that sends orders, and streams."""
