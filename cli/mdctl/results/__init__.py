"""What jobs left in their output directories, found again without JAX and without the worker's own code."""
