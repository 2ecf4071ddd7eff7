"""Uploading an exported folder to the Hugging Face hub."""

from __future__ import annotations

import importlib.util
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePath

from greenfront.errors import GreenfrontError, UsageError, first_line
from greenfront.objectives.packaging.claims import Claims, read_claims
from greenfront.objectives.tasks.settings import DATA_PATHS
from greenfront.spaces.architectures.hub import hub_faults, hub_obstacle
from greenfront.studies.export.folder import write_sums
from greenfront.studies.export.record import read_record

__all__ = ["push", "require_hub"]

_REPOSITORY = re.compile(r"\w[\w.-]{0,95}/\w[\w.-]{0,95}")


def require_hub(repo: str) -> None:
    """Checks, before any work, that there is a chance to upload to a repository.

    Raises:
        UsageError: The name is none, huggingface_hub is missing, or there is no token.
    """
    if not _REPOSITORY.fullmatch(repo):
        raise UsageError(
            f"--push-to-hub: must be OWNER/NAME, as in the address of a model on the hub, got "
            f"{repo!r}; such as me/wine"
        )
    if importlib.util.find_spec("huggingface_hub") is None:
        raise UsageError(
            "--push-to-hub: needs huggingface_hub, which is not installed: pip install "
            "'greenfront[hub]', or leave it out"
        )
    from huggingface_hub import get_token

    if get_token() is None:
        raise UsageError(
            "--push-to-hub: needs a token that may write: put one into HF_TOKEN, or run hf auth "
            "login, or leave it out"
        )


def push(folder: Path, repo: str) -> str:
    """Uploads a folder, in one commit, to a repository that is made if there is none.

    A new repository is private: what is in it is made public by its owner, not by us. Of where the
    study's data lie on this machine only the last name is told.

    Args:
        folder: An exported model.
        repo: ``OWNER/NAME``.

    Returns:
        The address of the model.

    Raises:
        DataError: The folder is no exported model.
        UsageError: See :func:`require_hub`.
        GreenfrontError: The hub cannot be reached, or refused; the folder stays as it is.
    """
    require_hub(repo)
    record = read_record(folder)
    claims = read_claims(folder)
    from huggingface_hub import HfApi

    obstacle = hub_obstacle()
    if obstacle is not None:
        raise _refused(folder, repo, f"it cannot be reached: {obstacle}")
    api = HfApi(library_name="greenfront", library_version=record.versions.get("greenfront"))
    try:
        made = api.create_repo(repo, private=True, exist_ok=True)
        with _without_places(folder, claims) as told:
            api.upload_folder(
                repo_id=repo,
                folder_path=told,
                commit_message=f"Trial {record.model.trial} of {record.study}, by greenfront",
            )
    except hub_faults() as error:
        raise _refused(folder, repo, first_line(error)) from error
    return str(made)


@contextmanager
def _without_places(folder: Path, claims: Claims) -> Iterator[Path]:
    """A copy whose claims name the files of the data and not the folders that they lie in."""
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place) / "model"
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("__pycache__"))
        task = claims.setting.task
        names = {key: PurePath(task[key]).name for key in DATA_PATHS if task.get(key) is not None}
        replace(claims, setting=replace(claims.setting, task={**task, **names})).write(copy)
        write_sums(copy)
        yield copy


def _refused(folder: Path, repo: str, why: str) -> GreenfrontError:
    return GreenfrontError(
        f"--push-to-hub {repo}: the hub did not take it ({why}); the folder {str(folder)!r} is "
        f"whole: check token, name and network, then upload it by hf upload {repo} {folder}"
    )
