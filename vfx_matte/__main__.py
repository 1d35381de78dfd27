"""`python -m vfx_matte` is `vfx-matte`."""

from __future__ import annotations

from vfx_matte.cli import main

if __name__ == "__main__":
    main()
