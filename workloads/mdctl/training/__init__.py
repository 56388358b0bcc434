"""Loss, optimiser, step, state and loop."""
