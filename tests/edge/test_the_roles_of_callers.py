"""What a caller may do follows from uid and groups, and from which groups there are."""

import pytest

from bot.core.roles import Roles
from bot.edge.roles import Ranks, ranks
from bot.errors import ConfigError

VIEW, OPS, ADMIN, OWNER = 70, 71, 72, 900
ALL = Ranks(OWNER, VIEW, OPS, ADMIN)


@pytest.mark.parametrize(
    ("there", "uid", "groups", "role"),
    [
        (ALL, 1, {VIEW}, "viewer"),
        (ALL, 1, {VIEW, OPS}, "operator"),
        (ALL, 1, {VIEW, ADMIN}, "admin"),
        (ALL, 1, {99}, ""),
        (ALL, 0, set(), "admin"),
        (ALL, OWNER, set(), "admin"),
        (Ranks(OWNER), 1, {99}, "admin"),
        (Ranks(OWNER, operators=OPS), 1, {OPS}, "admin"),
        (Ranks(OWNER, operators=OPS), 1, {99}, ""),
        (Ranks(OWNER, VIEW, OPS), 1, {VIEW}, "viewer"),
        (Ranks(OWNER, viewers=VIEW), 1, {VIEW}, "viewer"),
        (Ranks(OWNER, admins=ADMIN), 1, {99}, ""),
    ],
)
def test_a_role_binds_once_the_one_above_it_has_a_group(there, uid, groups, role):
    assert there.role(uid, groups) == role


def test_the_socket_is_given_to_the_widest_group():
    assert ALL.connects == VIEW
    assert Ranks(OWNER, operators=OPS).connects == OPS
    assert Ranks(OWNER).connects == -1


@pytest.mark.parametrize("key", ["viewers_group", "operators_group", "admins_group"])
def test_a_group_that_is_not_there_is_named_with_its_key(key):
    with pytest.raises(ConfigError, match=f"roles.{key}: expected a group of this system"):
        ranks(Roles(**{key: "nosuch"}))
