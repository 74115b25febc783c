"""Builds the package; a wheel has the page in it, which npm builds first."""

from __future__ import annotations

import os
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.errors import SetupError

PAGE = Path(__file__).parent / "armshare" / "web" / "dist" / "index.html"
WITHOUT = "ARMSHARE_WITHOUT_PAGE"


class BuildWithPage(build_py):
    """Refuses to build a wheel whose hub would serve no page."""

    def run(self) -> None:
        """Build; raise SetupError if the page is not there and nobody said that it is not wanted."""
        if not self.editable_mode and not PAGE.is_file() and not os.environ.get(WITHOUT):
            raise SetupError(
                f"the page is not built: run `npm ci && npm run -w armshare/web build` first, or set {WITHOUT}=1 for "
                "a package whose hub serves no page"
            )
        super().run()


setup(cmdclass={"build_py": BuildWithPage})
