"""The bucket: an emulator of Google Cloud Storage in memory, which pods and tests reach at one address."""

from tests.buckets import emulator_binary
from tests.real.network import HOST

PORT = 4443
URL = f"http://{HOST}:{PORT}"

ENVIRONMENT = {
    "STORAGE_EMULATOR_HOST": URL,
    "TENSORSTORE_GCS_HTTP_URL": URL,
    "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",
}
"""By which clients take it for the real thing."""


def command() -> list[str]:
    """Return the emulator's command line."""
    where = ["-scheme", "http", "-host", HOST, "-port", str(PORT), "-external-url", URL]
    return [
        str(emulator_binary()),
        *where,
        "-public-host",
        f"{HOST}:{PORT}",
        "-backend",
        "memory",
        "-log-level",
        "error",
    ]
