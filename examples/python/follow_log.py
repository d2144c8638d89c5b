"""Follows the deliveries of all users, for a back end: what was sent, received and read, in order, once.

    KEY=hsk_… python3 follow_log.py log.json

The key needs the scope `read` (`herald key add NAME --scope read`). The program keeps its place in the file, together
with what it made of the events, so it goes on there after it was killed. Without a file it begins now.

It reads CloudEvents over server-sent events (`GET /log`) with nothing but Python's standard library (3.9 or later).
HERALD_URL names a herald that is not on this machine.
"""

import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.request

URL = os.environ.get("HERALD_URL", "http://127.0.0.1:8000/graphql").removesuffix("/graphql")

# herald writes a sign of life every 25 seconds (--ping-interval). After two missing ones the connection is dead.
SILENCE_SECONDS = 60


class Refused(Exception):
    """herald refuses. To repeat it is no use. It holds the errors of the answer."""


def receive(key, after):
    """Yields each place after a place, with its CloudEvent if there is one. Fails when the connection ends."""
    headers = {"Accept": "text/event-stream", "Authorization": f"Bearer {key}"}
    if after:
        headers["Last-Event-ID"] = after
    request = urllib.request.Request(f"{URL}/log", headers=headers)
    with urllib.request.urlopen(request, timeout=SILENCE_SECONDS) as response:
        place, name, data = after, "message", None
        for line in response:
            line = line.decode().rstrip("\r\n")
            field, _, value = line.partition(": ")  # A sign of life is a line with a colon alone.
            if field == "id":
                place = value
            elif field == "event":
                name = value
            elif field == "data":
                data = json.loads(value)
            elif not line:  # An empty line ends an event. The first has no data, and says where the log begins for us.
                if name == "error":
                    raise Refused(data["errors"])
                yield place, data
                name, data = "message", None
    raise ConnectionError("herald has broken the response off")


def follow(key, after):
    """Yields every place and event after a place, once and in order, for ever."""
    while True:
        try:
            for place, event in receive(key, after):
                yield place, event
                after = place  # The generator goes on only after the caller has dealt with the event.
        except urllib.error.HTTPError as error:
            # 5xx says that herald cannot answer now, 429 that too much is under way. Both pass.
            if error.code < 500 and error.code != 429:
                raise Refused(json.load(error)["errors"]) from error
        except (OSError, http.client.HTTPException, ValueError) as error:  # The connection was lost.
            print(f"follow_log.py: {error}; it connects again", file=sys.stderr)
        time.sleep(1)


def take(counts, event):
    """Counts what was sent, and what was received and read. Put your own work here."""
    kind = event["type"]
    if kind == "herald.status.changed":
        kind = event["data"]["status"]
    counts[kind] = counts.get(kind, 0) + 1


def main(path):
    try:
        with open(path, encoding="utf-8") as file:
            state = json.load(file)
    except FileNotFoundError:
        state = {"place": None, "counts": {}}
    for place, event in follow(os.environ["KEY"], state["place"]):
        state["place"] = place
        if event:
            take(state["counts"], event)
        # Place and counts change together, or not at all: the name is given to the file only when it is whole.
        with open(f"{path}.new", "w", encoding="utf-8") as file:
            json.dump(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(f"{path}.new", path)
        if event:
            print(json.dumps(event, ensure_ascii=False, separators=(",", ":")), flush=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except Refused as refused:
        sys.exit(f"follow_log.py: herald refuses: {refused}")
