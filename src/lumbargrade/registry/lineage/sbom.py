"""The software bill of materials of a version: what it needs to run, in CycloneDX's form."""

from collections.abc import Iterable

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

from lumbargrade.registry.lineage.environment import Package


def sbom_json(name: str, version: str, packages: Iterable[Package]) -> str:
    """Lists packages as the components of a model version; the same ones give the same text but for time and number."""
    bom = Bom()
    model = Component(name=name, version=version, type=ComponentType.MACHINE_LEARNING_MODEL)
    needed = [
        Component(
            name=package.name,
            version=package.version,
            type=ComponentType.LIBRARY,
            purl=PackageURL("pypi", None, package.name.lower(), package.version),
        )
        for package in packages
    ]
    bom.metadata.component = model
    for component in needed:
        bom.components.add(component)
    bom.register_dependency(model, needed)
    return make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=2)
