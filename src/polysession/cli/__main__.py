"""`python -m polysession.cli`."""

from polysession.cli import main

main()
