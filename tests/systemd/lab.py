"""A real systemd as process 1 of its own namespaces, in which the bot is installed and run.

Nothing of the machine is changed: ``/etc`` and the code are overlays, ``/var/lib``, ``/run``,
``/opt``, and the folders for temporary files are empty ones in memory, the network is a loopback of
its own. Ends with its process 1; the control groups that it leaves are removed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.faults.places import until

ROOT = Path(__file__).parents[2]
SYSTEMD = Path("/lib/systemd/systemd")
PYTHON = "/opt/trading-bot/.venv/bin/python"

GROUP = """
mount -t tmpfs tmpfs /mnt && mkdir /mnt/cg && mount -t cgroup2 cgroup2 /mnt/cg
"""

ENTER = f"""
set -e
mount --make-rprivate /
{GROUP}
mkdir /mnt/cg/$NAME
echo $$ > /mnt/cg/$NAME/cgroup.procs
umount /mnt/cg && umount /mnt
exec unshare -p -u -i -n -C --fork --kill-child --mount-proc sh -c "$BECOME"
"""

BECOME = """
set -e
mount --make-rshared /
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lab/etc /run/lab/etc-work /run/lab/code /run/lab/code-work /run/systemd/system
mount -t overlay overlay -o lowerdir=/etc,upperdir=/run/lab/etc,workdir=/run/lab/etc-work /etc
mount -t tmpfs -o mode=755 tmpfs /opt
mkdir -p /opt/trading-bot /opt/python
mount -t overlay overlay \
    -o lowerdir="$CODE",upperdir=/run/lab/code,workdir=/run/lab/code-work /opt/trading-bot
chmod 755 /opt/trading-bot
mount --bind "$BASE" /opt/python
rm -rf /opt/trading-bot/.venv
mkdir -p /opt/trading-bot/.venv/bin "/opt/trading-bot/.venv/lib/$VERSION/site-packages"
mount --bind "$SITE" "/opt/trading-bot/.venv/lib/$VERSION/site-packages"
ln -s "/opt/python/bin/$VERSION" /opt/trading-bot/.venv/bin/python
echo "home = /opt/python/bin" > /opt/trading-bot/.venv/pyvenv.cfg
mkdir -p /etc/ld.so.conf.d
echo /opt/python/lib > /etc/ld.so.conf.d/lab.conf
ldconfig
for folder in /var/lib /tmp /var/tmp; do mount -t tmpfs -o mode=1755 tmpfs $folder; done
umount -R -l /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount --bind /proc/sys /proc/sys
mount -o remount,ro,bind /proc/sys
rm -rf /etc/systemd/system
mkdir /etc/systemd/system
for unit in lab sysinit basic shutdown network-online time-sync timers; do
    printf '[Unit]\\nDescription=%s\\nDefaultDependencies=no\\n' $unit \
        > /run/systemd/system/$unit.target
done
export container=lab SYSTEMD_UNIT_PATH=/etc/systemd/system:/run/systemd/system
exec /lib/systemd/systemd --system --unit=lab.target --log-target=console --show-status=no
"""

LEAVE = f"""
mount --make-rprivate /
{GROUP}
find /mnt/cg/$NAME -depth -type d -exec rmdir {{}} +
"""


def why_not() -> str | None:
    """Tell why no systemd can be run here, or None."""
    if os.geteuid() != 0:
        return f"a systemd of its own needs root, this is uid {os.geteuid()}"
    missing = [name for name in ("unshare", "nsenter", "ldconfig") if not shutil.which(name)]
    if missing or not SYSTEMD.exists():
        return f"this machine has no {', '.join(missing) or SYSTEMD}"
    tried = subprocess.run(
        ["unshare", "-m", "sh", "-ec", f"mount --make-rprivate / {GROUP}"],
        capture_output=True,
        text=True,
        check=False,
    )
    return f"namespaces are not allowed here: {tried.stderr.strip()}" if tried.returncode else None


def _name_of(pid: int) -> str:
    """Return what a process is called, "" if it has gone meanwhile."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


class Lab:
    """A running systemd; ``run`` runs a command beside it, in all of its namespaces."""

    def __init__(self, folder: Path) -> None:
        self.name = f"trading-bot-lab-{os.getpid()}"
        self.log = folder / "systemd.log"
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        site = next(path for path in sys.path if path.endswith("site-packages"))
        self.environment = {
            "PATH": os.environ["PATH"],
            "NAME": self.name,
            "BECOME": BECOME,
            "CODE": str(ROOT),
            "BASE": sys.base_prefix,
            "VERSION": version,
            "SITE": site,
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                ["unshare", "-m", "sh", "-c", ENTER],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.init = 0
        until(self._up, lambda: f"systemd is up: {self.log.read_text()[-1500:]}", 30)

    def _up(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()[-1500:]
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if not children or _name_of(int(children[0])) != "systemd":
            return False  # still on its way, perhaps outside: nothing is run there yet
        self.init = int(children[0])
        state = self.run("systemctl", "is-system-running").stdout.strip()
        return state in ("running", "degraded")

    def close(self) -> None:
        """End process 1, and with it all that runs there; remove its control groups."""
        self.process.kill()
        self.process.wait(20)
        leave = ["unshare", "-m", "sh", "-c", LEAVE]

        def left() -> bool:
            done = subprocess.run(leave, env=self.environment, capture_output=True, check=False)
            return done.returncode == 0

        until(left, f"the control group {self.name} is removed")

    def run(self, *command: str, check: bool = False) -> subprocess.CompletedProcess[str]:
        """Run a command in there, as root."""
        return subprocess.run(
            ["nsenter", "-t", str(self.init), "-a", *command],
            capture_output=True,
            text=True,
            check=check,
            timeout=60,
        )

    def bot(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the bot's command line in there."""
        there = f"cd /opt/trading-bot && exec {PYTHON} -m bot"
        return self.run("sh", "-c", f"{there} {' '.join(words)}")

    def write(self, path: str, text: str) -> None:
        """Write a file in there."""
        script = 'mkdir -p "$(dirname "$1")" && printf %s "$2" > "$1"'
        self.run("sh", "-c", script, "sh", path, text, check=True)

    def read(self, path: str) -> str:
        """Return a file's text, "" if there is none."""
        return self.run("cat", path).stdout

    def shows(self, unit: str, *names: str) -> dict[str, str]:
        """Return properties of a unit."""
        asked = [f"--property={name}" for name in names]
        lines = self.run("systemctl", "show", unit, *asked).stdout.splitlines()
        return dict(line.split("=", 1) for line in lines)
