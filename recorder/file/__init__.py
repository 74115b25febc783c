"""The episode file: its layout, its metadata, a writer that survives a crash, and the reader."""
