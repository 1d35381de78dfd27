"""The old `tools/greenback.py` still works from a checkout: renders the clip that config.ini names
over green.
"""

from __future__ import annotations

import sys

from vfx_matte.cli import main

if __name__ == "__main__":
    sys.argv[1:1] = ["greenback"]
    main()
