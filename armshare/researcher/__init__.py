"""What a researcher does from the command line: fetch, verify, score, draw and export episodes."""
