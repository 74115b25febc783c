"""Exports: episodes in the formats that training code reads; one file each, whole or not at all."""
