"""What a killed process was writing is gone when the next one writes the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from greenfront.errors import UsageError
from greenfront.objectives.drafts import clear_drafts, drafted
from greenfront.studies.export.folder import SUMS
from greenfront.studies.export.folder import drafted as exported


def leave(folder: Path, *, as_folder: bool) -> None:
    """Has a process begin a draft, and kills it there."""
    code = (
        "import os, signal\n"
        "from pathlib import Path\n"
        "from greenfront.objectives.drafts import drafted\n"
        f"with drafted(Path({str(folder / 'report')!r}), folder={as_folder}) as draft:\n"
        "    (draft / 'part' if draft.is_dir() else draft).write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode < 0


@pytest.mark.parametrize("as_folder", [True, False])
def test_what_a_dead_process_has_left_goes_with_the_next_draft(
    tmp_path: Path, as_folder: bool
) -> None:
    leave(tmp_path, as_folder=as_folder)
    (left,) = tmp_path.iterdir()
    with drafted(tmp_path / "another"):
        assert left.exists(), "it is of another path"
    with drafted(tmp_path / "report", folder=as_folder) as draft:
        assert list(tmp_path.iterdir()) == [draft]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("as_folder", [True, False])
def test_what_a_living_process_writes_stays(tmp_path: Path, as_folder: bool) -> None:
    with drafted(tmp_path / "report", folder=as_folder) as draft:
        clear_drafts(tmp_path)
        with drafted(tmp_path / "report", folder=as_folder) as other:
            assert draft.exists()
            assert draft != other
        draft.rename(tmp_path / "report")
    assert list(tmp_path.iterdir()) == [tmp_path / "report"]


def test_names_are_taken_as_they_are(tmp_path: Path) -> None:
    with drafted(tmp_path / "a[b]*") as draft, drafted(tmp_path / "a[b]*") as other:
        assert draft.exists()
        assert other.exists()


def test_an_export_that_was_killed_while_it_replaced_one_is_ended(tmp_path: Path) -> None:
    folder, former = tmp_path / "model", tmp_path / ".model.former"
    folder.mkdir()
    (folder / SUMS).write_text("")
    folder.rename(former)  # killed here
    with (
        pytest.raises(UsageError, match="exists: give another folder"),
        exported(folder, force=False),
    ):
        pass
    assert (folder / SUMS).exists()
    assert not former.exists()
    former.mkdir()  # killed after the new one was put there
    with exported(folder, force=True) as draft:
        (draft / "new").write_text("new")
    assert {path.name for path in tmp_path.iterdir()} == {"model"}
    assert {path.name for path in folder.iterdir()} == {"new", SUMS}
