"""Metrics: the page that Prometheus reads."""

from importlib.metadata import version

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from collab.server.metrics import Metrics


def test_the_page_tells_which_collab_serves() -> None:
    page = generate_latest(Metrics().registry).decode()
    families = {family.name: family for family in text_string_to_metric_families(page)}
    (sample,) = families["collab_build_info"].samples
    assert (sample.labels, sample.value) == ({"version": version("collab-yjs")}, 1)
    assert families["collab_build_info"].type == "gauge"
