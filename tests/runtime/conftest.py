from tests.workers import compiled, repository, start, start_hosts, uninterrupted, write_job

__all__ = ["compiled", "repository", "start", "start_hosts", "uninterrupted", "write_job"]
