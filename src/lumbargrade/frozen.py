"""What most models here are: nobody changes them, and they have no field that nobody knows."""

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """A model that cannot be changed, and refuses fields that it does not have."""

    model_config = ConfigDict(frozen=True, extra="forbid")
