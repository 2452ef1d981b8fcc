"""The settings of `[plugins.step]` and the hooks of this plugin."""

from pydantic import BaseModel, ConfigDict

from dotpeen.hooks import ExternalReference, Health, hookimpl
from dotpeen.registry import Registry


class Settings(BaseModel):
    """What may stand under `[plugins.step]`: nothing yet."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@hookimpl
def dotpeen_external_references(registry: Registry) -> list[ExternalReference]:
    """Declare `stepAp242Uuid`, the UUID that a part has in its STEP AP242 model."""
    if "Part" not in registry.entities:
        return []
    return [ExternalReference(name="stepAp242Uuid", entity="Part", column="stepAp242Uuid", type="uuid")]


@hookimpl
def dotpeen_health(registry: Registry) -> Health:
    """Tell whether the site has the parts that the external reference belongs to."""
    if "Part" not in registry.entities:
        return Health(ok=False, message="no entity Part: stepAp242Uuid has no place")
    return Health(ok=True, message="stepAp242Uuid of parts: dotpeen migrate status shows whether it is ready")
