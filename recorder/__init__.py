"""The third room: what happened. Bytes, hashes and signatures leave it; their worth is not asked here."""
