"""The `mdctl` command."""
