"""A scoring callback that knows all counts."""

import pytest


def oracle(table, default=0):
    """A scoring callback over a table of counts; `asked` collects what it was asked for."""

    def score(candidates):
        for dropped in candidates:
            score.asked.append(dropped)
            yield table.get(dropped, default)

    score.asked = []
    return score


@pytest.fixture(name="oracle", scope="session")
def oracle_fixture():
    return oracle
