"""``python -m greenfront``: the same as the command ``greenfront``."""

from greenfront.cli.app import main

if __name__ == "__main__":
    main()
