"""What every door calls: rooms in order.

Takes paths and options, gives results; never prints, parses or reads config.ini.
"""

from __future__ import annotations
