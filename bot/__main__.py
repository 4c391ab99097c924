"""Starts the command line; before anything else, one SQLite library and no pandas."""

if __name__ == "__main__":
    from bot.store.database import only_library

    only_library()
    from bot.cli.app import main

    main()
