"""What a user asks for: the DiffusionJob, accelerators, recipes, names and errors. Imports nothing of ours."""
