"""The pictures in `docs/screenshots/`: every page and state that a person meets, at three sizes, in light and dark."""
