"""No file names a package index or this machine's folders, and one module of the bot opens SQLite."""

import re

from tests.tidy.project import files, modules, text

# Written apart, so that this file does not name them itself.
HOSTS = ("pypi" + ".org", "python" + "hosted", "--index" + "-url", "--extra-index" + "-url")
FOLDERS = ("/wo" + "rk/", "/ro" + "ot/")
DRIVER = re.compile(r"^\s*(?:import|from)\s+(?:_?sqlite3|pysqlite3|apsw)\b", re.MULTILINE)


def test_no_file_names_a_package_index():
    assert not [(str(p), host) for p in files() for host in HOSTS if host in text(p)]


def test_the_lock_file_names_no_host_at_all():
    (lock,) = (p for p in files() if p.name == "requirements.lock")
    assert not re.findall(r"https?://\S+", text(lock))


def test_every_locked_package_has_a_hash():
    (lock,) = (p for p in files() if p.name == "requirements.lock")
    entries = re.split(r"\n(?=\S)", text(lock))
    assert not [entry for entry in entries if "==" in entry and "--hash=sha256:" not in entry]


def test_no_file_names_a_folder_of_one_machine():
    assert not [(str(p), folder) for p in files() for folder in FOLDERS if folder in text(p)]


def test_one_module_of_the_bot_imports_a_sqlite_driver():
    found = [str(p) for p in modules("bot", "console", "migrations") if DRIVER.search(text(p))]
    assert found == ["bot/store/database.py"]
