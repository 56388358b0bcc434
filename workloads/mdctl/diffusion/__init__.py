"""Processes, schedules, samplers and guidance. Knows no model."""
