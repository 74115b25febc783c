"""Previews: an episode as a small moving picture, for whoever looks through many (`docs/catalogue.md`)."""
