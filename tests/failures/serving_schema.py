"""Requests that schemathesis makes from /openapi.json, fitting it and not: no answer may be an error of the server's.

They go over HTTP to the running server. Broken are the rules by a status of 5xx but 503 with Retry-After, and by an
answer that the document does not allow: a status, a type or a form that it does not name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from benchmarks.serving.questions import Question
from benchmarks.serving.server import Server, exchange

from .serving import Report

CHECKS = ("status_code_conformance", "content_type_conformance", "response_schema_conformance")


def try_schema(server: Server, questions: Sequence[Question], report: Report, count: int, seed: int) -> None:
    """Send that many requests to each operation that has so many, half of them against the document."""
    import hypothesis
    import requests
    import schemathesis
    from schemathesis.checks import CHECKS as ALL
    from schemathesis.checks import not_a_server_error
    from schemathesis.core.failures import FailureGroup
    from schemathesis.generation import GenerationMode

    document = schemathesis.openapi.from_url(f"http://127.0.0.1:{server.port}/openapi.json")
    operations = [found.ok() for found in document.get_all_operations()]
    report.require(len(operations) > 0, f"{len(operations)} operations in /openapi.json")
    checks = [not_a_server_error, *ALL.get_by_names(list(CHECKS))]
    tally: Counter[str] = Counter()
    broken: list[str] = []
    session = requests.Session()
    for operation in operations:
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):

            @hypothesis.seed(seed)
            @hypothesis.settings(
                max_examples=max(1, count // 2),
                database=None,
                deadline=None,
                derandomize=False,
                phases=[hypothesis.Phase.generate],
                suppress_health_check=list(hypothesis.HealthCheck),
            )
            @hypothesis.given(one=operation.as_strategy(generation_mode=mode))
            def send(one) -> None:
                response = one.call(session=session)
                tally[f"{one.method} {one.path}: {response.status_code}"] += 1
                if response.status_code == 503 and "retry-after" in response.headers:
                    return
                try:
                    one.validate_response(response, checks=checks)
                except FailureGroup as group:
                    broken.extend(f"{one.as_curl_command()[:600]}: {failure}" for failure in group.exceptions)
                except schemathesis.Failure as failure:
                    broken.append(f"{one.as_curl_command()[:600]}: {failure}")

            try:
                send()
            except hypothesis.errors.Unsatisfiable:  # nothing can be against the document here
                tally[f"{operation.method} {operation.path}: nothing to try, {mode.name.lower()}"] += 1
    report.say(f"schemathesis, {sum(tally.values()):,} requests: {dict(sorted(tally.items()))}")
    for text in broken[:20]:
        report.say(f"  {text}")
    report.require(not broken, f"schemathesis, seed {seed}: {len(broken)} answers broke a rule")
    reply = exchange(server.port, questions[0].request())
    right = reply is not None and reply.status == 200 and questions[0].is_answered_by(reply.body)
    report.require(right, "schemathesis: the next good request is answered rightly")
