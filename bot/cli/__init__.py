"""The command line: one file a group of commands; every word it shows comes from the desk."""
