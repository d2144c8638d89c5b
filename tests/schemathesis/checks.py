"""What schemathesis holds every answer to, besides the status: see `run`, which starts it."""

import schemathesis

# The codes that herald gives to its own faults. Over HTTP their status may be 200, as GraphQL has it; every other
# code says that the request was wrong, which most generated requests are.
FAULTS = {"INTERNAL", "UNAVAILABLE"}


@schemathesis.check
def answers_without_fault(ctx, response, case):
    """The answer is GraphQL's, is not an error of the server, and admits to no fault of herald."""
    text = response.content.decode("utf-8")
    assert response.status_code < 500, f"status {response.status_code}: {text}"
    answer = response.json()
    assert isinstance(answer, dict) and ({"data", "errors"} & answer.keys()), f"no GraphQL response: {text}"
    for error in answer.get("errors", []):
        code = error.get("extensions", {}).get("code")
        assert code is not None, f"an error without a code: {text}"
        assert code not in FAULTS, f"{code}: {text}"
