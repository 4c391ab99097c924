"""Finds out what role a caller has: uid and groups are the kernel's word, never the client's."""

from __future__ import annotations

import os
import pwd
import socket
import struct

from msgspec import Struct

from bot.core.roles import ADMIN, OPERATOR, VIEWER, Roles
from bot.edge.host import group_id

SO_PEERGROUPS = 59
"""Linux 4.13: the groups of the other end when it connected, as an array of gid_t (socket(7))."""
GROUP_BYTES_MAX = 1024
ROOT = 0


class Caller(Struct, frozen=True):
    """Who is at the other end, by the kernel's word; ``role`` is "" for who has none."""

    uid: int
    pid: int
    name: str
    role: str


class Ranks(Struct, frozen=True):
    """The owner of the process, and the groups of the configuration; -1 where none is named."""

    owner: int
    viewers: int = -1
    operators: int = -1
    admins: int = -1

    @property
    def connects(self) -> int:
        """The group that may connect to the command socket, -1: the group that the folder gives."""
        return self.viewers if self.viewers >= 0 else self.operators

    def met(self, connection: socket.socket) -> Caller:
        """Ask the kernel who connected: uid, pid, and all groups, the effective one among them."""
        pid, uid, gid = struct.unpack(
            "iII", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        )
        try:
            name = pwd.getpwuid(uid).pw_name
        except KeyError:
            name = f"uid {uid}"
        try:
            raw = connection.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, GROUP_BYTES_MAX)
        except OSError:  # more than 256 groups: fewer rights, never more
            raw = b""
        groups = {gid, *struct.unpack(f"{len(raw) // 4}I", raw)}
        return Caller(uid, pid, name, self.role(uid, groups))

    def role(self, uid: int, groups: set[int]) -> str:
        """Return what a person may do; "" for nothing.

        Without any group whoever may connect may do everything, and with one for operators alone
        so may each of them: a role binds once the one above it has a group.
        """
        if uid in (ROOT, self.owner) or self.admins in groups:
            return ADMIN
        if max(self.viewers, self.operators, self.admins) < 0:
            return ADMIN
        if self.operators in groups:
            return OPERATOR if self.admins >= 0 else ADMIN
        return VIEWER if self.viewers in groups else ""


def ranks(roles: Roles) -> Ranks:
    """Look the groups up.

    Raises ConfigError if one does not exist, or if this process may not give its files to it.
    """
    return Ranks(
        os.geteuid(),
        group_id("viewers_group", roles.viewers_group),
        group_id("operators_group", roles.operators_group),
        group_id("admins_group", roles.admins_group, given=False),
    )
