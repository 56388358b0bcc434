"""The one client of the API server: what is asked of a cluster, and what its refusals mean."""
