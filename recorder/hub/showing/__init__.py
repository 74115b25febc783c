"""What shows a verified episode once more: its line of time, its channels as curves, and where its pictures lie."""
