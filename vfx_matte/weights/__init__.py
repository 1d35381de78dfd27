"""Weights files.

Takes the table of known weights and a folder, gives verified files; the only room that speaks HTTP.

What a network makes of a file is not known here.
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
from vfx_matte.weights.files import Fingerprint, check_container, fingerprint
from vfx_matte.weights.package_file import file_from_package
from vfx_matte.weights.table import TABLE_NAME, Entry, full_name, read_table, recorded

__all__ = [
    "Entry",
    "TABLE_NAME",
    "read_table",
    "full_name",
    "recorded",
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
]
