"""Scripted people: a task's expert with a known skill, and with mistakes that are made on purpose and written down."""
