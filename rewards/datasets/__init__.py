"""Data sets: immutable, versioned lists of verified episodes, with splits, a licence and a card. Pure; no database."""
