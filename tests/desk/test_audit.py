"""The audit trail verifies, and each kind of meddling is found."""

from __future__ import annotations

import pytest

from bot.desk import audit, files
from bot.errors import ChainBroken
from bot.store.database import open_writer


def spoil(state, *statements):
    """Do what only someone with the file can do: drop the guard, change the row."""
    connection = open_writer(state)
    connection.execute("PRAGMA foreign_keys=OFF")
    for sql in statements:
        connection.execute(sql)
    connection.close()


def verify(state, **wanted):
    connection = files.open_state(state)
    try:
        return audit.verify(connection, **wanted)
    finally:
        connection.close()


def test_an_untouched_trail_verifies(state):
    found = verify(state)
    assert found.checked == found.head_id > 100
    assert not found.pending_migrations
    part = verify(state, after=found.head_id - 5)
    assert (part.checked, part.head) == (5, found.head)


def test_a_head_noted_elsewhere_is_found_or_missed(state):
    head = verify(state).head
    assert verify(state, expect=head[:12]).expected_at == verify(state).head_id
    with pytest.raises(ChainBroken, match="the tail was made anew"):
        verify(state, expect="abcdef012345")


KEPT = "DROP TRIGGER transition_kept_u"
AGAIN = (
    "CREATE TRIGGER transition_kept_u BEFORE UPDATE ON transition\n"
    "BEGIN SELECT RAISE(ABORT, 'transition is append-only'); END"
)


@pytest.mark.parametrize(
    ("statements", "what"),
    [
        ((KEPT,), "trigger transition_kept_u is missing"),
        (("CREATE TABLE extra(a)",), "table extra was added"),
        (
            (KEPT, "UPDATE transition SET reason = 'nothing' WHERE id = 9", AGAIN),
            "transition 9: the row or its event was changed",
        ),
        (("DROP INDEX transition_seq",), "index transition_seq is missing"),
        (("UPDATE instance SET state = 'NORMAL' WHERE machine = 'guard'",), "guard account"),
        (("DELETE FROM instance WHERE machine = 'guard'",), "guard account: expected REDUCED"),
        (
            ("DROP TRIGGER journal_kept_u", "UPDATE journal SET body = '{}' WHERE seq = 1"),
            "was changed",
        ),
        (
            ("DROP TRIGGER transition_kept_d", "DELETE FROM transition WHERE id = 20"),
            "rows are missing",
        ),
        (
            (
                "DROP TRIGGER rule_in_force",
                "CREATE TRIGGER rule_in_force BEFORE INSERT ON rule BEGIN SELECT 1; END",
            ),
            "trigger rule_in_force was changed",
        ),
    ],
)
def test_each_kind_of_meddling_is_found(state, statements, what):
    spoil(state, *statements)
    with pytest.raises(ChainBroken, match=what):
        verify(state)
