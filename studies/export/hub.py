"""Uploading an exported folder to the Hugging Face hub."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from greenfront.errors import GreenfrontError, UsageError, first_line
from greenfront.spaces.architectures.hub import hub_faults, hub_obstacle
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

    A new repository is private: what is in it is made public by its owner, not by us.

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
    from huggingface_hub import HfApi

    obstacle = hub_obstacle()
    if obstacle is not None:
        raise _refused(folder, repo, f"it cannot be reached: {obstacle}")
    api = HfApi(library_name="greenfront", library_version=record.versions.get("greenfront"))
    try:
        made = api.create_repo(repo, private=True, exist_ok=True)
        api.upload_folder(
            repo_id=repo,
            folder_path=folder,
            commit_message=f"Trial {record.model.trial} of {record.study}, by greenfront",
            ignore_patterns=["__pycache__/**", "**/__pycache__/**"],
        )
    except hub_faults() as error:
        raise _refused(folder, repo, first_line(error)) from error
    return str(made)


def _refused(folder: Path, repo: str, why: str) -> GreenfrontError:
    return GreenfrontError(
        f"--push-to-hub {repo}: the hub did not take it ({why}); the folder {str(folder)!r} is "
        f"whole: check token, name and network, then upload it by hf upload {repo} {folder}"
    )
