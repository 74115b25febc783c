"""The third room: what happened. Bytes, hashes and signatures leave it; what they are worth is not asked here."""
