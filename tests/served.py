"""A model as MLflow serves it, by its address."""

from collections.abc import Iterator
from contextlib import contextmanager

from lumbargrade.serving.mlflow_server import running_model


@contextmanager
def served_model(uri: str, port: int | None = None) -> Iterator[str]:
    """Serves a model as long as the context lasts; yields the server's address."""
    with running_model(uri, port) as server:
        yield server.address
