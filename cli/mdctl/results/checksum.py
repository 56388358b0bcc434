"""CRC32C, the checksum that Cloud Storage keeps of every object, in base64 as it writes it."""

import base64
from pathlib import Path

CHUNK_BYTES = 1 << 20


def file_crc32c(path: Path) -> str | None:
    """Return the checksum of a file of this machine; None if there is no such file."""
    import google_crc32c

    checksum = 0
    try:
        with path.open("rb") as file:
            while content := file.read(CHUNK_BYTES):
                checksum = google_crc32c.extend(checksum, content)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return base64.b64encode(checksum.to_bytes(4, "big")).decode()
