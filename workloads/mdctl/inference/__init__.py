"""From prompts to pixels."""
