"""Data sets, their order, and the cache of what encoders make of them."""
