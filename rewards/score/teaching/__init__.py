"""Version 3 of the rules: what share of what a drive could teach it does teach, and where it lost the rest."""
