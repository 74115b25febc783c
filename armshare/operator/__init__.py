"""What an operator does from the command line: drive, hand episodes in, and decide about them later."""
