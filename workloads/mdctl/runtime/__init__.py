"""The entry point that pods and laptops start."""
