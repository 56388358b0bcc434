"""Wan 2.1 text to video: the transformer as published, its weight table and its layout."""
