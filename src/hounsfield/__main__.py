"""Entry point of ``python -m hounsfield``."""

from hounsfield.cli.main import main

main()
