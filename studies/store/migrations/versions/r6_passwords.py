"""Takes the passwords of databases out of the configurations of studies."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from greenfront.studies.store.urls import shown_url

revision = "6"
down_revision = "5"

_STUDIES = sa.table(
    "greenfront_studies", sa.column("study_id"), sa.column("configuration", sa.JSON)
)


def upgrade() -> None:
    """Brings the tables from the version before to this one."""
    connection = op.get_bind()
    for number, kept in connection.execute(sa.select(_STUDIES)).all():
        section = kept.get("study") if isinstance(kept, dict) else None
        if not isinstance(section, dict) or not isinstance(url := section.get("storage"), str):
            continue
        if shown_url(url) != url:
            changed = {**kept, "study": {**section, "storage": shown_url(url)}}
            connection.execute(
                sa.update(_STUDIES)
                .where(_STUDIES.c.study_id == number)
                .values(configuration=changed)
            )
