"""What metadata is made from: a crate, what ran in it, and what lies beside it."""

from __future__ import annotations

from typing import Any

import msgspec

from provwatch.crate import Crate, RunView, view_runs
from provwatch.crate.model import many, references, text
from provwatch.metadata.nextflow_config import read_config
from provwatch.metadata.redact import Redactor, secret_literals
from provwatch.metadata.secret_names import is_number

Values = dict[str, Any]


class Sources(msgspec.Struct, frozen=True, eq=False):
    """Everything that the metadata of one package is read from.

    Attributes:
        crate: the crate.
        view: its runs and tasks.
        config: settings of the resolved nextflow.config beside the crate, by dotted name.
        root: properties of the root data entity, without its long lists.
        workflow: properties of the main workflow; empty when there is none.
        run: properties of the newest run, without its long lists; empty when there is none.
        redactor: knows the values of the crate's and the configuration's secret parameters.
        warnings: codes collected while reading; filled by the functions that derive values.
    """

    crate: Crate
    view: RunView
    config: dict[str, str]
    root: Values
    workflow: Values
    run: Values
    redactor: Redactor
    warnings: set[str] = msgspec.field(default_factory=set)

    @property
    def is_preview(self) -> bool:
        """Whether a ``-preview`` run wrote the crate: it planned everything and ran nothing."""
        run = self.view.run
        nothing_ran = not self.view.tasks and (run is None or not references(run.action.result))
        return self.config.get("preview") == "true" and nothing_ran

    @property
    def is_stub(self) -> bool:
        """Whether the run was a ``-stub-run``."""
        return self.config.get("stubRun") == "true"


def gather(crate: Crate) -> Sources:
    """Read what lies beside a crate, and learn which values are secret."""
    view = view_runs(crate)
    config = read_config(crate)
    literals = {value for value in secret_literals(config) if not is_number(value)} | _secret_parameters(crate)
    return Sources(
        crate=crate,
        view=view,
        config=config,
        root=crate.facts(crate.root_id),
        workflow=crate.facts(view.workflow_id) if view.workflow_id else {},
        run=crate.facts(view.run.id) if view.run else {},
        redactor=Redactor(literals),
        warnings=set(crate.warnings),
    )


def _secret_parameters(crate: Crate) -> set[str]:
    """Return the values that the crate gives for parameters with secret-looking names, or assigns inside others."""
    found: set[str] = set()
    for entity_id, _ in crate.of_type("PropertyValue", "FormalParameter"):
        properties = crate.properties(entity_id)
        name = parameter_name(crate, entity_id, properties)
        for key in ("value", "defaultValue"):
            for value in many(properties.get(key)):
                found |= secret_literals(value, name)
    return found


def parameter_name(crate: Crate, entity_id: str, properties: Values) -> str:
    """Return what a parameter is called: its own name, else its formal parameter's, else the end of its ``@id``."""
    name = text(properties.get("name"))
    if name:
        return name
    for example in many(properties.get("exampleOfWork")):
        target = example.get("@id") if isinstance(example, dict) else example
        formal = crate.get(target) if isinstance(target, str) else None
        formal_name = (text(formal.name) if formal is not None else None) or text(target)
        if formal_name:
            return formal_name.rsplit("/", 1)[-1].removeprefix("#")
    return entity_id.rsplit("/", 1)[-1].removeprefix("#")
