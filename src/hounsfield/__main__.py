"""``python -m hounsfield`` is the command ``hounsfield``."""

from hounsfield.cli.main import main

main()
