from tests.workers import compiled, repository, start, write_job

__all__ = ["compiled", "repository", "start", "write_job"]
