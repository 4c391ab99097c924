"""Starts the console; before anything else, one SQLite library and no pandas."""

if __name__ == "__main__":
    from bot.desk.library import only_library

    only_library()
    from console.start import main

    main()
