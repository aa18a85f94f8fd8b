"""Lets `python -m latimer` run the command line."""

from latimer.cli import main

main()
