"""What Optuna's own tables say of a study: they decide whether it exists, and whose it is."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from greenfront.errors import StudyError
from greenfront.studies.store.tables import metadata, studies_table, trials_table

__all__ = ["deleted_studies", "forget", "refuse_foreign"]

_STUDIES = sa.table("studies", sa.column("study_id"), sa.column("study_name"))
_TRIALS = sa.table("trials", sa.column("study_id"), sa.column("number"))


def deleted_studies(connection: Connection) -> dict[int, str]:
    """Studies of ours that were deleted through Optuna, such as by its dashboard: names by number.

    A study that took over the number and the name of a deleted one lacks its trials.
    """
    if not _has_optuna(connection):
        return {}
    ours = studies_table.c
    rows = connection.execute(
        sa.select(
            ours.study_id,
            ours.name,
            _STUDIES.c.study_id.is_(None),
            sa.select(sa.func.max(trials_table.c.number))
            .where(trials_table.c.study_id == ours.study_id)
            .scalar_subquery(),
            sa.select(sa.func.max(_TRIALS.c.number))
            .where(_TRIALS.c.study_id == ours.study_id)
            .scalar_subquery(),
        ).select_from(
            studies_table.outerjoin(
                _STUDIES,
                (_STUDIES.c.study_id == ours.study_id) & (_STUDIES.c.study_name == ours.name),
            )
        )
    )
    return {
        study_id: name
        for study_id, name, is_gone, our_last, their_last in rows
        if is_gone or (our_last is not None and (their_last is None or our_last > their_last))
    }


def forget(connection: Connection, study_ids: list[int]) -> None:
    """Removes all that we kept of studies."""
    for table in metadata.sorted_tables:
        connection.execute(sa.delete(table).where(table.c.study_id.in_(study_ids)))


def refuse_foreign(connection: Connection, name: str, where: str) -> None:
    """Refuses the name of a study that was made by another program, and holds its trials.

    Args:
        connection: To the database.
        name: Of the study.
        where: Name of the database, for messages.

    Raises:
        StudyError: There is such a study.
    """
    if not _has_optuna(connection):
        return
    known = sa.select(studies_table.c.study_id) if _has_ours(connection) else None
    query = sa.select(_STUDIES.c.study_id).where(_STUDIES.c.study_name == name)
    if known is not None:
        query = query.where(_STUDIES.c.study_id.not_in(known))
    trials = sa.select(sa.func.count()).select_from(_TRIALS)
    count = connection.execute(trials.where(_TRIALS.c.study_id.in_(query))).scalar_one()
    if count:
        raise StudyError(
            f"study {name!r} in {where} was not made by greenfront and holds {count} trials: they "
            "are left alone; give the new study another name under [study] name, or another storage"
        )


def _has_optuna(connection: Connection) -> bool:
    return sa.inspect(connection).has_table(_STUDIES.name)


def _has_ours(connection: Connection) -> bool:
    return sa.inspect(connection).has_table(studies_table.name)
