"""Checkpoints, artifacts and repositories of weights."""
