"""`python -m regulars` is the command line."""

from regulars.cli.main import run

run()
