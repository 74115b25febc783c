"""`python -m armshare`: the command line."""

from __future__ import annotations

from armshare.cli.app import main

if __name__ == "__main__":
    main()
