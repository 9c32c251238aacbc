"""What Prometheus is given: counts and times, nothing of any study."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320)


class Metrics:
    """The metrics of one reading room."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "lumbargrade_http_requests", "Requests by address pattern and status.", ["method", "path", "status"],
            registry=self.registry,
        )  # fmt: skip
        self.refusals = Counter(
            "lumbargrade_refused_uploads",
            "Uploads refused at once, by HTTP status.",
            ["status"],
            registry=self.registry,
        )
        self.studies = Counter(
            "lumbargrade_studies", "Studies that came to an end: done or failed.", ["end"], registry=self.registry
        )
        self.corrections = Counter("lumbargrade_corrections", "Corrections by readers.", registry=self.registry)
        self.model_failures = Counter(
            "lumbargrade_model_failures", "Questions that the model server did not answer.", registry=self.registry
        )
        self.decoding_seconds = Histogram(
            "lumbargrade_decoding_seconds", "Time to decode a study.", buckets=_SECONDS, registry=self.registry
        )
        self.grading_seconds = Histogram(
            "lumbargrade_grading_seconds", "Time of the model server for a study.", buckets=_SECONDS,
            registry=self.registry,
        )  # fmt: skip
        self.waiting = Gauge("lumbargrade_studies_waiting", "Studies in the queue.", registry=self.registry)
        self.at_work = Gauge("lumbargrade_studies_at_work", "Studies at work.", registry=self.registry)
        self.kept = Gauge("lumbargrade_studies_kept", "Studies in the spool.", registry=self.registry)
        self.model_ready = Gauge("lumbargrade_model_ready", "Whether the model server answers.", registry=self.registry)

    def text(self) -> bytes:
        """The metrics in Prometheus' text format."""
        return generate_latest(self.registry)
