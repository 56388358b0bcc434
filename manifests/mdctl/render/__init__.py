"""Spec to Kubernetes objects: pure functions that return dicts."""
