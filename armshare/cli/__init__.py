"""The command line, `armshare`: one module for each kind of person who types it."""
