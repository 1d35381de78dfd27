"""What every door calls: rooms in order.

Functions take opened clips and records of options, and return records of results; printing, parsing
and config.ini belong to the doors.
"""

from __future__ import annotations
