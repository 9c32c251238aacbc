"""The lineage record as one page that needs no server."""

from importlib.resources import files

import yaml
from jinja2 import Environment, StrictUndefined, select_autoescape

from lumbargrade.registry.record import Json


def record_html(record: Json) -> str:
    """Writes a record, as :func:`lumbargrade.registry.record.make_record` gives it, as a page."""
    environment = Environment(
        autoescape=select_autoescape(default=True, default_for_string=True), undefined=StrictUndefined
    )
    template = environment.from_string((files("lumbargrade.registry") / "lineage.html.j2").read_text(encoding="utf-8"))
    build = record["predicate"]["buildDefinition"]
    parts = build["resolvedDependencies"]
    return template.render(
        record=record,
        story=record["lumbargrade"],
        run=record["predicate"]["runDetails"],
        machine=build["internalParameters"]["machine"],
        parameters=yaml.safe_dump(build["externalParameters"]["params"], sort_keys=False),
        code=next(part for part in parts if part["name"] == "code"),
        dataset=next(part for part in parts if part["name"].startswith("dataset ")),
        stages=[part for part in parts if part["name"].startswith("dvc stage ")],
        packages=[part for part in parts if "version" in part["annotations"]],
    )
