"""What ``init quilt`` writes: the files that make a bucket's Quilt catalog check, show and find runs."""

from __future__ import annotations

import json
from importlib.resources import files

from provwatch.errors import UsageError
from provwatch.metadata import json_schema

BUCKET = "BUCKET"  # stands for the bucket's name, in the files beside this one and in the default registry
WORKFLOWS = ".quilt/workflows/config.yml"
SCHEMA = ".quilt/workflows/provwatch-metadata.schema.json"
CATALOG = ".quilt/catalog/config.yaml"
QUERIES = "find-runs.sql"


def quilt_files(registry: str) -> dict[str, str]:
    """Return the files for a bucket; what lies below ``.quilt/`` belongs there in the bucket too.

    Args:
        registry: ``s3://`` and the bucket's name.

    Raises:
        UsageError: that is not a bucket.
    """
    bucket = registry.removeprefix("s3://").rstrip("/")
    if not registry.startswith("s3://") or not bucket or "/" in bucket:
        message = f"{registry!r} is not a bucket, and only buckets have a catalog"
        raise UsageError(message, hint="Give --registry s3://NAME")
    return {
        WORKFLOWS: _text("workflows.yml", bucket),
        SCHEMA: json.dumps(json_schema(), indent=2) + "\n",
        CATALOG: _text("catalog.yaml", bucket),
        QUERIES: _text("find-runs.sql", bucket),
    }


def _text(name: str, bucket: str) -> str:
    """Return a file of this package, for one bucket."""
    return files(__name__).joinpath(name).read_text("utf-8").replace(BUCKET, bucket)
