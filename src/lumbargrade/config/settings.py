"""The variables of the environment by which people set Lumbargrade up.

What a process tells the one that it starts has its own model: :class:`lumbargrade.training.jobs.spec.WorkerSettings`.
"""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """The environment. A variable that is empty counts as one that is not there.

    Attributes:
        project: The project's folder; where the command is run if it is not given.
        search_storage: Address of the database that holds Optuna's studies; a file beside the folds if it is not given.
        serving_log: Where a model server keeps its answers.
        signing_key: File of the key that signs evidence.
        notices_webhook: Address that takes notices by POST; ``notices_secret`` signs them.
        notices_smtp: Mail server, ``smtp://user:password@host:587``, for mails from ``notices_from`` to ``notices_to``.
        ray_address: RAY_ADDRESS; folds are trained on this cluster.
        mlflow_tracking_uri: MLFLOW_TRACKING_URI; the project's own database if it is not given.
        prefect_api_url: PREFECT_API_URL; the project's own server if it is not given.
        error_file: Where a command leaves its error to the process that started it.
    """

    model_config = SettingsConfigDict(env_prefix="LUMBARGRADE_", env_ignore_empty=True, extra="ignore", frozen=True)

    project: Path | None = None
    search_storage: SecretStr | None = None
    serving_log: Path | None = None
    signing_key: Path | None = None
    notices_webhook: str | None = None
    notices_secret: SecretStr | None = None
    notices_smtp: SecretStr | None = None
    notices_from: str | None = None
    notices_to: str | None = None
    ray_address: str | None = Field(default=None, validation_alias="RAY_ADDRESS")
    mlflow_tracking_uri: str | None = Field(default=None, validation_alias="MLFLOW_TRACKING_URI")
    error_file: Path | None = None
    prefect_api_url: str | None = Field(default=None, validation_alias="PREFECT_API_URL")
