"""Driving without a browser: the driver, and the pilots that decide what it does."""
