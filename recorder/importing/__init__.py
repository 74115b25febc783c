"""Data sets of other formats, brought in as unsigned episodes that say so (FORMAT.md, section 9)."""
