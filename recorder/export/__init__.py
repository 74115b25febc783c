"""Exports: episodes in the formats that others train from; one file each, whole or not at all."""
