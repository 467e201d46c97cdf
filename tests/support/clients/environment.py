"""What a client of another make needs to be pointed at a server: environment variables, nothing else."""

from __future__ import annotations

import os

from support.servers import ServerProcess


def environment_of(server: ServerProcess, **more: str) -> dict[str, str]:
    """Return the environment of a client program, without what AWS settings this process has."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "HOUNSFIELD_"))}
    return {
        **inherited,
        "AWS_SHARED_CREDENTIALS_FILE": str(server.data / "credentials"),
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_MEDICAL_IMAGING": server.url,
        "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
        "AWS_EC2_METADATA_DISABLED": "true",
        **more,
    }
