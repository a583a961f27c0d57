"""The one loop: source -> crate -> description -> probe -> claim -> emit or publish -> record."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import socket
import time
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from provwatch.config import Settings
from provwatch.console import Progress
from provwatch.description import folder_uri, serialise
from provwatch.errors import DescriptionError, PackagingError, ProvwatchError
from provwatch.failpoints import reach
from provwatch.ledger import DUPLICATE, HELD, Claim, Job, Ledger, NewJob, StaleClaimError, State
from provwatch.look import (
    Look,
    folder_options,
    probe_of,
    take_look,
    without_secrets,
)
from provwatch.outcome import BAD, Outcome, Result, failed
from provwatch.plan import make_plan
from provwatch.publication import Publication
from provwatch.publish.emit import STDOUT, check_target, emit
from provwatch.publish.hash_cache import HashCache
from provwatch.publish.hashing import ChangedError
from provwatch.publish.local_storage import in_place_sources
from provwatch.publish.manifest import Head
from provwatch.publish.quilt import quilt_setting
from provwatch.publish.registries import open_registry
from provwatch.publish.registry import HeadMovedError, Registry
from provwatch.request import Request, recalled, remembered
from provwatch.verdict import Verdict, decide, fingerprint_of
from provwatch.workflows import Workflows

LEASE_SECONDS = 3_600.0
TRIES = 3
PRELOAD_BYTES = 256 * 1024 * 1024
RELOCATED = "relocated"
SUPERSEDED = "superseded"
INTERRUPTED = "stopped when asked to; run it again to go on, what was hashed stays hashed"


class Stopped(Exception):  # noqa: N818 - it is no error
    """The person asked to stop; what is in hand is handed back."""


class Processor:
    """Packages local folders, each change once."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        cache: HashCache,
        *,
        progress: Progress | None = None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        """Work with these settings, this ledger and this cache; *stopping* says when to hand back."""
        self._settings = settings
        self._ledger = ledger
        self._cache = cache
        self._progress = progress or Progress()
        self._stopping = stopping

    def again(self, job: Job) -> Outcome:
        """Do a job of the ledger again, as it was asked for the first time."""
        try:
            request, flags = recalled(job.description, where=f"job {job.id}")
            settings = self._settings.override(flags)
        except ProvwatchError as error:
            known = {"source": job.source, "package": job.package, "registry": job.registry}
            return self._record(job, failed(error, **known))
        same = Processor(settings, self._ledger, self._cache, progress=self._progress, stopping=self._stopping)
        return same.package(request, job)

    def package(self, request: Request, job: Job | None = None) -> Outcome:
        """Make the package of one folder, or say why not; never raises for bad input.

        Args:
            request: what to package.
            job: the ledger's job to do it under; a new one by default.
        """
        started = time.monotonic()
        source = str(request.folder)
        try:
            source = folder_uri(request.folder)
            if request.emit:
                check_target(request.emit, local_source=True)
            look = take_look(request, self._settings, self._check)
            outcome = self._unfit(look)
            if outcome is None:
                outcome = self._plan(request, look) if request.dry_run else self._claim(request, look, job)
        except ProvwatchError as error:
            outcome = failed(error, source=source)
        except Stopped:
            outcome = Outcome(source=source, outcome=Result.SKIPPED, code="interrupted", reason=INTERRUPTED)
        if not outcome.id and not request.dry_run:
            outcome = self._record(job or self._receive(request, source, outcome.package, outcome.registry), outcome)
        catalog = self._settings["catalog"] or quilt_setting("navigator_url")
        return dataclasses.replace(outcome, seconds=time.monotonic() - started, catalog=catalog)

    def _check(self) -> None:
        """Give up where the person asks to."""
        if self._stopping():
            raise Stopped

    def _unfit(self, look: Look) -> Outcome | None:
        """Return the outcome of a folder that is not to be packaged, or None."""
        if look.sources is not None and look.sources.is_preview:
            reason = "a -preview run wrote this crate: nothing ran, and nothing was produced"
            return Outcome(outcome=Result.NOT_A_RUN, code="preview", reason=reason, **look.told)
        if not look.listing.files and not self._settings["allow_empty"]:
            error = PackagingError(
                "the folder holds no files to package",
                where=look.description.source_prefix,
                hint="Did the run fail before it published anything? --allow-empty packages it all the same",
                code="empty",
            )
            return failed(error, **look.told)
        return None

    def _record(self, job: Job, outcome: Outcome) -> Outcome:
        """Record the outcome of a job that was over before there was anything to claim it for."""
        claim = self._ledger.claim(job.id, LEASE_SECONDS)
        if claim is not None:
            state = State.FAILED if outcome.outcome in BAD else State.SKIPPED
            self._ledger.move(claim, state, code=outcome.code, reason=outcome.reason, outcome=outcome.outcome)
        return dataclasses.replace(outcome, id=job.id)

    def _claim(self, request: Request, look: Look, job: Job | None) -> Outcome:
        """Do a job under a claim, and record what became of it."""
        description = look.description
        source, package = description.source_prefix, description.package_name
        job = job or self._receive(without_secrets(request, look), source, package, description.registry)
        reach("after_receive")
        claim = self._ledger.claim(job.id, LEASE_SECONDS)
        if claim is None:
            raise PackagingError("another process works on this source", where=source)
        reach("after_claim")
        try:
            outcome = self._emit(request, look, claim) if request.emit else self._publish(request, look, claim)
        except ProvwatchError as error:
            self._ledger.move(claim, State.FAILED, code=error.code, reason=str(error), outcome=Result.FAILED)
            outcome = failed(error, **look.told)
        except (Stopped, KeyboardInterrupt):
            self._ledger.move(claim, State.RETRY, code="interrupted", reason=INTERRUPTED, outcome=Result.SKIPPED)
            outcome = Outcome(outcome=Result.SKIPPED, code="interrupted", reason=INTERRUPTED, **look.told)
        else:
            self._close_abandoned(job)
        return dataclasses.replace(outcome, id=job.id)

    def _receive(self, request: Request, source: str, package: str, registry: str) -> Job:
        """Record in the ledger that a person asked for this, so that it can be done again."""
        new = NewJob(
            key=f"package:{uuid.uuid4().hex}",
            source=source,
            package=package,
            registry=registry,
            description=remembered(request, source, self._settings),
        )
        return self._ledger.receive([new])[0]

    def _close_abandoned(self, done: Job) -> None:
        """Close earlier jobs for the same package whose process on this machine died in the middle."""
        for job in self._ledger.jobs(states=HELD, source=done.source):
            same = (job.registry, job.package) == (done.registry, done.package) and job.id != done.id
            if same and _is_dead(job.owner):
                reason = f"its process died; done by {done.id}"
                claim = Claim(job.id, job.fence)
                with contextlib.suppress(StaleClaimError):  # somebody else was quicker, which is as good
                    self._ledger.move(claim, State.SKIPPED, code=SUPERSEDED, reason=reason, outcome=Result.SUPERSEDED)

    def _emit(self, request: Request, look: Look, claim: Claim) -> Outcome:
        """Send the description, unless the same was sent before."""
        description = look.description
        seen = probe_of(look, request, self._settings)
        last = self._ledger.last_done(description.source_prefix, description.registry, description.package_name)
        repeated = last is not None and last.outcome in {Result.EMITTED, Result.DUPLICATE} and last.probe == seen
        if seen and repeated and request.emit != STDOUT and self._settings["dedup"] != "off":
            self._ledger.move(claim, State.SKIPPED, code=DUPLICATE, probe=seen, outcome=Result.DUPLICATE)
            return Outcome(outcome=Result.DUPLICATE, code=DUPLICATE, reason="this was sent before", **look.told)
        emit(serialise(description), request.emit)
        self._ledger.move(claim, State.DONE, probe=seen, outcome=Result.EMITTED)
        return Outcome(outcome=Result.EMITTED, **look.told)

    def _publish(self, request: Request, look: Look, claim: Claim) -> Outcome:
        """Publish; look again where the folder or the head changed meanwhile."""
        for _ in range(TRIES - 1):
            try:
                return self._publish_once(request, look, claim)
            except (ChangedError, HeadMovedError) as error:
                look = take_look(request, self._settings, self._check)
                unfit = self._unfit(look)
                if unfit is not None:
                    raise PackagingError(unfit.reason, code=unfit.code) from error
        return self._publish_once(request, look, claim)

    def _publish_once(self, request: Request, look: Look, claim: Claim) -> Outcome:
        """Publish a revision, unless the package holds the same already."""
        with self._registry(look) as registry:
            workflows = Workflows(registry)
            look = workflows.resolved(look)
            seen = probe_of(look, request, self._settings)
            unchanged = self._unchanged(request, look, registry, seen)
            if unchanged is not None:
                return self._duplicate(request, look, registry, claim, unchanged.fingerprint, unchanged.top_hash, seen)
            head = registry.head(look.description.package_name)
            self._check_holder(request, look, head)
            publication = self._publication(request, look, registry, head)
            publication.prepare(workflows)
            content = publication.read()
            look = publication.look
            reach("after_hash")
            fingerprint = fingerprint_of(look, content)
            verdict = decide(request, self._settings, look, content, head, registry.storage)
            if head is not None and verdict is Verdict.DUPLICATE:
                return self._duplicate(request, look, registry, claim, fingerprint, head.top_hash, seen)
            self._begin_publishing(claim, fingerprint)
            pushed = publication.write(content, relocate=verdict is Verdict.RELOCATE)
            reach("before_done")
            facts: dict[str, Any] = {"code": pushed.code, "reason": pushed.reason, "top_hash": pushed.top_hash}
            self._ledger.move(claim, State.DONE, probe=seen, outcome=Result.PUSHED, fingerprint=fingerprint, **facts)
            return dataclasses.replace(pushed, fingerprint=fingerprint)

    def _registry(self, look: Look) -> AbstractContextManager[Registry]:
        """Open the registry that a package goes to."""
        description = look.description
        options = folder_options(self._settings)
        return open_registry(description.registry, description.package_name, self._settings, options)

    def _publication(self, request: Request, look: Look, registry: Registry, head: Head | None) -> Publication:
        """Return a folder on its way into a registry."""
        return Publication(
            request, self._settings, look, registry, head, self._cache, progress=self._progress, check=self._check
        )

    def _begin_publishing(self, claim: Claim, fingerprint: str) -> None:
        """Record that writing begins; in a second try it has begun, and the job is held for longer."""
        job = self._ledger.job(claim.job_id)
        if job is not None and job.state is State.PUBLISHING:
            self._ledger.renew(claim, LEASE_SECONDS)
        else:
            self._ledger.move(claim, State.PUBLISHING, fingerprint=fingerprint)

    def _unchanged(self, request: Request, look: Look, registry: Registry, seen: str) -> Job | None:
        """Return the job that brought this very state into the package's present head, or None.

        Where bytes are kept in the registry it takes a look at them to know, so this shortcut is not for those.
        """
        if not seen or request.refresh or self._settings["dedup"] == "off":
            return None
        if registry.storage.needs_a_look(look.listing.files):
            return None
        description = look.description
        last = self._ledger.last_done(description.source_prefix, description.registry, description.package_name)
        if last is None or last.probe != seen or not last.top_hash:
            return None
        return last if registry.has_head(description.package_name, last.top_hash) else None

    def _duplicate(
        self,
        request: Request,
        look: Look,
        registry: Registry,
        claim: Claim,
        fingerprint: str,
        top_hash: str,
        seen: str,
    ) -> Outcome:
        """Record that the package holds this content already; mend what an earlier crash left out."""
        registry.mend(look.description.package_name)
        facts: dict[str, Any] = {
            "code": DUPLICATE,
            "reason": "the package holds this content already",
            "fingerprint": fingerprint,
            "top_hash": top_hash,
        }
        state = State.DONE if request.take_over else State.SKIPPED  # who takes a name over holds it from now on
        self._ledger.move(claim, state, probe=seen, outcome=Result.DUPLICATE, **facts)
        return Outcome(outcome=Result.DUPLICATE, **look.told, **facts)

    def _check_holder(self, request: Request, look: Look, head: Head | None) -> None:
        """Refuse a package name that another source holds."""
        description = look.description
        if request.take_over:
            return
        holder = self._ledger.holder(description.registry, description.package_name)
        holders = [holder] if holder is not None else in_place_sources(head.entries if head else ())
        if holders and description.source_prefix not in holders:
            message = f"the package {description.package_name} is made from {holders[0]}"
            hint = "Give another --name, or --take-over to make it from this source from now on"
            raise DescriptionError(message, where=description.source_prefix, hint=hint, code="name-taken")

    def _plan(self, request: Request, look: Look) -> Outcome:
        """Return what would happen, without reading any file's content."""
        if request.emit:
            plan = {"would": "emit", "commit_message": look.description.commit_message, "read_bytes": 0}
            return Outcome(outcome=Result.PLANNED, plan=plan, **look.told)
        with self._registry(look) as registry:
            workflows = Workflows(registry)
            look = workflows.resolved(look)
            head = registry.head(look.description.package_name)
            self._check_holder(request, look, head)
            self._publication(request, look, registry, head).check(workflows)
            plan = make_plan(request, self._settings, look, head, registry.storage, self._cache)
        return Outcome(outcome=Result.PLANNED, plan=plan, **look.told)


def _is_dead(owner: str) -> bool:
    """Say whether a job's owner, ``host:pid``, is a process of this machine that has ended."""
    host, _, pid = owner.rpartition(":")
    if host != socket.gethostname() or not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False
