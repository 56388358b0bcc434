"""The worker as processes on this machine."""
