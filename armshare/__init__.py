"""The application: the command line, the processes of a platform, its settings, its migrations and the page."""
