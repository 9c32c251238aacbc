"""The lineage record as one page that needs no server."""

from collections.abc import Sequence

import yaml

from lumbargrade.audit.log import Entry
from lumbargrade.evaluation.pages import render_page
from lumbargrade.models.trained_on import facts_of_story, state
from lumbargrade.registry.lineage.dependencies import Json, read_dependencies


def record_html(record: Json, history: Sequence[Entry]) -> str:
    """Writes a record, as :func:`lumbargrade.registry.lineage.record.make_record` gives it, as a page.

    Args:
        history: What the audit log says of the version since.
    """
    build, made_of = record["predicate"]["buildDefinition"], read_dependencies(record)
    return render_page(
        "lumbargrade.registry.lineage",
        "lineage.html.j2",
        record=record,
        story=record["lumbargrade"],
        trained_on=state(facts_of_story(record["lumbargrade"])),
        run=record["predicate"]["runDetails"],
        machine=build["internalParameters"]["machine"],
        parameters=yaml.safe_dump(build["externalParameters"]["params"], sort_keys=False),
        code=made_of.code,
        dataset=made_of.dataset,
        stages=made_of.stages,
        packages=made_of.packages,
        history=history,
    )
