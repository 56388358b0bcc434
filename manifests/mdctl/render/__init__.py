"""From a DiffusionJob to Kubernetes objects: pure functions that return dicts, one builder for each part."""
