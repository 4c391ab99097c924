"""Every state meets every event: no surprise, no illegal move, no dead row, no state out of reach."""

import pytest

from bot.core.decide import ON, TABLES
from tests.machines.every import KINDS, key_of, moments, samples, standing, states, worlds

BY_NAME = pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)


def rules(table):
    return {(source, trigger, dest) for _, source, trigger, dest in table.rules()}


def moves(table):
    """Yield each step that fire gives, with where the machine stood."""
    for world, state, event in moments(table):
        at = standing(world, table, state)
        step = table.fire(world, event, key_of(table), at)
        if step is not None:
            yield world, at, event, step


def test_there_is_a_sample_of_every_kind_of_event():
    assert {type(event) for event in samples(worlds()[0])} == set(KINDS)
    assert set(ON) <= set(KINDS), "every event that decide knows is in the closed set"


@BY_NAME
def test_fire_gives_only_moves_of_its_table_each_with_a_reason(table):
    legal, seen = rules(table), 0
    for _, at, event, step in moves(table):
        seen += 1
        assert (step.source, step.trigger, step.dest) in legal
        assert step.trigger == type(event).__name__
        assert (step.machine, step.key) == (table.name, key_of(table))
        assert step.version == (at.version + 1 if at else 1)
        assert step.reason.strip()
    assert seen


@BY_NAME
def test_no_row_is_dead(table):
    hit = {(step.source, step.trigger, step.dest) for _, _, _, step in moves(table)}
    assert rules(table) - hit == set()


@BY_NAME
def test_no_state_is_out_of_reach(table):
    reached, before = {""}, set()
    while reached != before:
        before = set(reached)
        reached |= {dest for source, _, dest in rules(table) if source in reached}
    assert set(map(str, table.states)) - reached == set()


@BY_NAME
def test_nothing_leaves_a_final_state_and_only_those_have_no_way_out(table):
    leaving = {source for source, _, _ in rules(table)}
    assert {str(state) for state in table.final} & leaving == set()
    assert set(states(table)) - leaving - {str(s) for s in table.final} == set()


@BY_NAME
def test_a_trigger_is_an_event(table):
    assert {trigger for _, trigger, _ in rules(table)} <= {kind.__name__ for kind in KINDS}


@BY_NAME
def test_the_library_reads_the_same_table_the_same_way(table):
    machine, model = table.library()
    for world, state, event in moments(table):
        at = standing(world, table, state)
        if not table.answers(state, event):
            assert table.fire(world, event, key_of(table), at) is None
            continue
        machine.set_state(state or "UNBORN", model)
        model.trigger(type(event).__name__, world=world, event=event, key=key_of(table))
        step = table.fire(world, event, key_of(table), at)
        expected = step.dest if step else state or "UNBORN"
        assert model.state == expected


def test_a_state_that_the_table_does_not_know_stays_where_it_is():
    world = worlds()[1]
    for table in TABLES:
        for event in samples(world):
            at = standing(world, table, "DREAMING")
            assert table.fire(world, event, key_of(table), at) is None
