"""Follows everything that somebody may see, from a cursor on, through lost connections and restarts of the server.

    TOKEN=… CURSOR=… python3 follow.py

It reads server-sent events with nothing but Python's standard library (3.9 or later). HERALD_URL names a herald that
is not on this machine.
"""

import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.request

URL = os.environ.get("HERALD_URL", "http://127.0.0.1:8000/graphql")

QUERY = """
subscription ($after: Cursor) {
  events(after: $after) {
    cursor
    __typename
    ... on MessageSent { message { body } }
    ... on StatusChanged { status recipient { handle } }
  }
}
"""

# herald writes a sign of life every 25 seconds (--ping-interval). After two missing ones the connection is dead.
SILENCE_SECONDS = 60


class Refused(Exception):
    """herald refuses the subscription. To repeat it is no use. It holds the errors of the answer."""


def server_sent_events(response):
    """Yields the name and the data of each event of a `text/event-stream`."""
    name, data = "message", []
    for line in response:
        line = line.decode().rstrip("\r\n")
        if not line:  # An empty line ends an event.
            if data:
                yield name, "\n".join(data)
            name, data = "message", []
        field, _, value = line.partition(":")  # A line that begins with a colon is a sign of life: it has no field.
        if field == "event":
            name = value.removeprefix(" ")
        elif field == "data":
            data.append(value.removeprefix(" "))


def receive(token, after):
    """Yields the events that follow a cursor, until the subscription is complete. Fails when the connection ends."""
    request = urllib.request.Request(
        URL,
        json.dumps({"query": QUERY, "variables": {"after": after}}).encode(),
        {
            "Accept": "text/event-stream",
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "X-Connection-Id": "python",
        },
    )
    with urllib.request.urlopen(request, timeout=SILENCE_SECONDS) as response:
        for name, data in server_sent_events(response):
            if name == "complete":
                return
            answer = json.loads(data)
            codes = [error["extensions"]["code"] for error in answer.get("errors", [])]
            if "UNAVAILABLE" in codes:
                raise ConnectionError("the database of herald does not answer now")
            if codes:
                raise Refused(answer["errors"])
            yield answer["data"]["events"]
    raise ConnectionError("herald has broken the response off")


def follow(token, after):
    """Yields every event after a cursor, once and in order, until the subscription is complete."""
    while True:
        try:
            for event in receive(token, after):
                cursor = event["cursor"]
                yield event
                after = cursor  # The generator goes on only after the caller has dealt with the event.
            return
        except urllib.error.HTTPError as error:
            # 5xx says that herald cannot answer now, 429 that too much is under way. Both pass.
            if error.code < 500 and error.code != 429:
                raise Refused(json.load(error)["errors"]) from error
        except (OSError, http.client.HTTPException, ValueError) as error:  # The connection was lost.
            print(f"follow.py: {error}; it connects again", file=sys.stderr)
        time.sleep(1)


if __name__ == "__main__":
    try:
        for event in follow(os.environ["TOKEN"], os.environ.get("CURSOR")):
            del event["cursor"]
            print(json.dumps(event, ensure_ascii=False, separators=(",", ":")), flush=True)
    except Refused as refused:
        sys.exit(f"follow.py: herald refuses: {refused}")
