"""The episode file: its layout, what it says of itself, the writer that a crash does not break, and the reader."""
