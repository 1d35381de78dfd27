"""Weights files: which are known, downloading them, and whether a file is intact.

Only this folder uses HTTP. What a network does with a file is known elsewhere.
"""

from __future__ import annotations

from vfx_matte.weights.download import (
    PART_SUFFIX,
    FetchError,
    download,
    kept_bytes,
    put_in_place,
    reject,
)
from vfx_matte.weights.files import (
    Fingerprint,
    check_container,
    check_description,
    check_tensors,
    fingerprint,
)
from vfx_matte.weights.package_file import file_from_package
from vfx_matte.weights.table import (
    TABLE_NAME,
    Entry,
    files_of,
    full_name,
    read_table,
    with_checksum,
)

__all__ = [
    "Entry",
    "TABLE_NAME",
    "read_table",
    "files_of",
    "full_name",
    "with_checksum",
    "FetchError",
    "PART_SUFFIX",
    "download",
    "file_from_package",
    "kept_bytes",
    "put_in_place",
    "reject",
    "Fingerprint",
    "fingerprint",
    "check_container",
    "check_description",
    "check_tensors",
]
