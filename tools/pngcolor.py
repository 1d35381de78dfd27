"""The old `tools/pngcolor.py` still works from a checkout: renders the masks of the clip that
config.ini names in colours.

The video is workspace/NAME/maskvideo.mkv; -o names another place.
"""

from __future__ import annotations

import sys

from vfx_matte.cli import main

if __name__ == "__main__":
    sys.argv[1:1] = ["maskvideo", "--style", "palette"]
    main()
