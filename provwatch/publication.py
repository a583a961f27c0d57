"""One folder on its way into one registry: check it, read it, store its bytes, make the revision."""

from __future__ import annotations

from collections.abc import Callable

from provwatch.config import Settings
from provwatch.console import Progress, human_bytes, human_seconds
from provwatch.errors import PackagingError
from provwatch.failpoints import reach
from provwatch.look import Look, check_still, cleaned, folder_options, generated_files
from provwatch.outcome import Outcome, Result
from provwatch.publish.entries import Entry
from provwatch.publish.folder import (
    Content,
    expected_entries,
    make_blobs,
    make_entries,
    read_content,
    split_known,
)
from provwatch.publish.hash_cache import HashCache
from provwatch.publish.manifest import Head
from provwatch.publish.quilt import preload
from provwatch.publish.registry import Registry, Revision
from provwatch.request import Request
from provwatch.workflows import Workflows

PRELOAD_BYTES = 256 * 1024 * 1024
RELOCATED = "relocated"


class Publication:
    """One folder on its way into one registry.

    Attributes:
        look: the folder; without the secrets that its files give away, once they were read.
    """

    def __init__(
        self,
        request: Request,
        settings: Settings,
        look: Look,
        registry: Registry,
        head: Head | None,
        cache: HashCache,
        *,
        progress: Progress,
        check: Callable[[], None],
    ) -> None:
        """Publish what a look found, in place of a head.

        Args:
            request: what was asked for.
            settings: the settings in force.
            look: the folder.
            registry: where to.
            head: the package's latest revision, or None.
            cache: knows the hashes of files that have not changed.
            progress: shows how far it is.
            check: called on the way; what it raises ends the work.
        """
        self._request = request
        self._settings = settings
        self.look = look
        self._registry = registry
        self._head = head
        self._cache = cache
        self._progress = progress
        self._check = check
        self._workflows: Workflows | None = None

    def prepare(self, workflows: Workflows) -> None:
        """Check what can be checked before anything is read, and say how much there is to do.

        Raises:
            PackagingError: the Quilt workflow refuses the package, or it would take too much room.
        """
        self.check(workflows)
        if self._head is None and self.look.size > PRELOAD_BYTES:
            preload()  # there will be a build, and reading takes longer than loading
        self._announce()

    def check(self, workflows: Workflows) -> None:
        """Check what can be checked before anything is read.

        Raises:
            PackagingError: the Quilt workflow refuses the package, or it would take too much room.
        """
        self._registry.storage.check_names(self.look.listing.files)
        self._workflows = workflows
        workflows.check(self.look, self._expected_entries)
        size, most = self._to_be_written(), self._settings["max_size"]
        if size > most:
            message = f"{human_bytes(size)} would have to be stored, and {human_bytes(most)} are allowed"
            hint = "Allow more with --max-size, or leave files out with --exclude"
            raise PackagingError(message, where=self.look.description.source_prefix, hint=hint, code="too-large")

    def _expected_entries(self) -> list[Entry]:
        """Return the entries as far as they are known before anything is read."""
        look = self.look
        return expected_entries(look.listing, look.sources, generated_files(look, self._settings))

    def _to_be_written(self) -> int:
        """Return how many bytes may have to be stored."""
        return sum(file.size for file in self._registry.storage.to_be_written(self.look.listing.files, self._head))

    def _announce(self) -> None:
        """Say how much there is to hash and to upload, and how long that will take, before it begins."""
        rate, up = self._registry.storage.upload_rate(), self._to_be_written()
        if rate is None or not up:
            return
        _, unread = split_known(self.look.listing.files, self._cache)
        to_hash = human_bytes(sum(file.size for file in unread))
        pace = f"{human_bytes(rate[0])}/s" + ("" if rate[1] else ", a guess")
        self._progress.announce(
            f"{to_hash} to hash, {human_bytes(up)} to upload: about {human_seconds(up / rate[0])} at {pace}"
        )

    def read(self) -> Content:
        """Hash the files, showing progress, and giving up where the person asks to.

        Raises:
            ChangedError: a file changed meanwhile.
            ProvwatchError: a file cannot be read.
        """
        look = self.look
        _, unread = split_known(look.listing.files, self._cache)
        with self._progress.showing("Hashing", sum(file.size for file in unread)) as bar:
            options = folder_options(self._settings)
            content = read_content(look.listing, look.sources, self._cache, options, self._teller(bar))
        self.look = look = cleaned(look, content.redactor)
        if self._request.refresh:
            content.generated = self._generated(content)
        return content

    def _generated(self, content: Content) -> dict[str, bytes]:
        """Return the files that provwatch adds, without the secrets that any file of the folder gave away."""
        files = generated_files(self.look, self._settings)
        return {key: content.redactor.peculiar_bytes(data) for key, data in files.items()}

    def write(self, content: Content, *, relocate: bool) -> Outcome:
        """Store what has to be stored and make the revision.

        Args:
            content: the folder's content.
            relocate: only the places of the bytes change: the revision stays the one that it is, where that can be.

        Raises:
            HeadMovedError: somebody else made a revision meanwhile.
            ProvwatchError: it cannot be stored or made; nothing was published.
        """
        look, registry, head = self.look, self._registry, self._head
        content.generated = self._generated(content)
        blobs = make_blobs(content)
        doing = "Copying" if registry.storage.upload_rate() is None else "Uploading"
        with self._progress.showing(doing, self._to_be_written()) as bar:
            placed = registry.storage.place(blobs, head, self._teller(bar))
        entries = make_entries(content, look.sources, placed, self._cache)
        reach("after_store")
        check_still(look, self._request)
        description, code, reason = look.description, "", ""
        if head is not None and relocate and registry.relocate(description.package_name, head, entries):
            top_hash, code, reason = head.top_hash, RELOCATED, "same content; its files are now kept as asked for"
        else:
            passed = self._workflows.check(look, lambda: entries) if self._workflows else None
            made = (description.package_name, entries, look.metadata, description.commit_message)
            revision = Revision(*made, description.quilt_workflow, passed)
            top_hash = registry.publish(revision, expected=head.top_hash if head else "")
        registry.storage.settled(blobs)
        size, warnings = sum(entry.size for entry in entries), {*look.told["warnings"], *registry.warnings}
        told = {**look.told, "bytes": size, "entries": len(entries), "warnings": tuple(sorted(warnings))}
        return Outcome(outcome=Result.PUSHED, top_hash=top_hash, code=code, reason=reason, **told)

    def _teller(self, bar: Progress) -> Callable[[int], None]:
        """Return what counts bytes and gives up where the person asks to."""

        def tell(count: int) -> None:
            self._check()
            bar.advance(count)

        return tell
