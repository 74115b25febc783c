"""Work that any worker can do, on this machine or another: named calls, and the table that they wait in."""
