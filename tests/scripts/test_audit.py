"""Audits: what fails, what does not, and what says that nothing was learnt."""

import json

from scripts.audit import Audit, read_npm_audit, read_pip_audit

WEAK = {
    "name": "h11",
    "version": "0.14.0",
    "vulns": [{"id": "PYSEC-2025-1", "fix_versions": ["0.16.0"], "aliases": []}],
}
SOUND = {"name": "anyio", "version": "4.16.0", "vulns": []}
UNKNOWN = {"name": "ours", "skip_reason": "Dependency not found on PyPI"}


def report(*packages: object) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


def test_a_weak_package_is_named_with_the_release_that_mends_it() -> None:
    audit = read_pip_audit(report(WEAK, SOUND), "")
    assert audit == Audit(("h11 0.14.0: PYSEC-2025-1, mended in 0.16.0",))


def test_packages_that_nobody_knows_are_named() -> None:
    assert read_pip_audit(report(SOUND, UNKNOWN), "") == Audit((), ("ours",))


def test_a_registry_without_advisories_is_no_good_news() -> None:
    said = "No known vulnerabilities found"
    assert read_pip_audit(report(UNKNOWN, UNKNOWN), said).skipped is not None


def test_no_report_is_told_as_it_was_said() -> None:
    audit = read_pip_audit("", "Traceback\nConnectionError: no such host\n")
    assert audit.skipped == "ConnectionError: no such host"
    assert read_npm_audit("", "").skipped == "no answer"


def test_what_npm_finds_is_named() -> None:
    found = {"ws": {"name": "ws", "range": "<8.17.1", "severity": "high"}}
    answer = json.dumps({"auditReportVersion": 2, "vulnerabilities": found})
    assert read_npm_audit(answer, "") == Audit(("ws <8.17.1: high",))
    assert read_npm_audit(json.dumps({"vulnerabilities": {}}), "") == Audit()


def test_an_endpoint_that_npm_is_refused_at_is_told() -> None:
    refused = json.dumps({"message": "405 Method Not Allowed", "statusCode": 405, "error": {}})
    assert read_npm_audit(refused, "").skipped == "405 Method Not Allowed"
