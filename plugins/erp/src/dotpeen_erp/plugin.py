"""The settings of `[plugins.erp]` and the hooks of this plugin."""

from pydantic import BaseModel, ConfigDict

from dotpeen.hooks import ExternalReference, Health, hookimpl
from dotpeen.registry import Registry


class Settings(BaseModel):
    """What may stand under `[plugins.erp]`: nothing yet."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@hookimpl
def dotpeen_external_references(registry: Registry) -> list[ExternalReference]:
    """Declare `erpPartId`, the ERP system's own id of a part."""
    if "Part" not in registry.entities:
        return []
    return [ExternalReference(name="erpPartId", entity="Part", column="erpPartId", type="text")]


@hookimpl
def dotpeen_health(registry: Registry) -> Health:
    """Tell whether the site has the parts that the external reference belongs to."""
    if "Part" not in registry.entities:
        return Health(ok=False, message="no entity Part: erpPartId has no place")
    return Health(ok=True, message="erpPartId of parts: dotpeen migrate status shows whether it is ready")
