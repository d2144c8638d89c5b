"""Brings the users of a product into herald, and welcomes each of them in the name of somebody.

    KEY=hsk_… python3 provision.py < users.jsonl
    KEY=hsk_… SENDER=external:42 python3 provision.py < users.jsonl

Each line of the input is a user: {"externalId": "42", "handle": "ada", "displayName": "Ada"}. The handle and the name
may be left out. To run it again changes what has changed, and nobody is welcomed twice. `herald key add` makes the key;
it needs the scope `provision`, and `send` for the welcome. Nothing but Python's standard library is needed (3.9 or
later). HERALD_URL names a herald that is not on this machine.
"""

import hashlib
import json
import os
import sys
import time
import urllib.error
import urllib.request

URL = os.environ.get("HERALD_URL", "http://127.0.0.1:8000/graphql")

# herald takes at most so many users in one call, all or none.
USERS_PER_CALL = 1_000

UPSERT = """
mutation ($users: [UpsertUserInput!]!) {
  upsertUsers(input: { users: $users }) { created users { handle externalId } }
}
"""

START = """
mutation ($handle: String!) {
  startConversation(input: { participantHandles: [$handle], distinct: true }) { conversation { id } }
}
"""

SEND = """
mutation ($conversation: ID!, $body: String!, $key: String!) {
  sendMessage(input: { conversationId: $conversation, body: $body, idempotencyKey: $key }) { message { id } }
}
"""


class Refused(Exception):
    """herald refuses the request. To repeat it is no use. It holds the errors of the answer."""


def ask(key, query, variables, act_as=None):
    """Asks herald until it answers, and returns the data. Everything that is asked here may be repeated safely."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    if act_as:
        headers["X-Act-As"] = act_as
    body = json.dumps({"query": query, "variables": variables}).encode()
    while True:
        try:
            with urllib.request.urlopen(urllib.request.Request(URL, body, headers), timeout=30) as response:
                answer = json.load(response)
        except urllib.error.HTTPError as error:
            if error.code < 500 and error.code != 429:
                raise Refused(json.load(error)["errors"]) from error
            reason = error
        except (OSError, ValueError) as error:  # The connection was lost.
            reason = error
        else:
            errors = answer.get("errors", [])
            if not errors:
                return answer["data"]
            if not any(error["extensions"]["code"] in ("UNAVAILABLE", "RATE_LIMITED") for error in errors):
                raise Refused(errors)
            reason = errors
        print(f"provision.py: {reason}; it tries again", file=sys.stderr)
        time.sleep(1)


def provision(key, users):
    """Makes or updates all users. Yields each as herald knows them, in the order of the input."""
    for begin in range(0, len(users), USERS_PER_CALL):
        upserted = ask(key, UPSERT, {"users": users[begin : begin + USERS_PER_CALL]})["upsertUsers"]
        print(f"provision.py: {upserted['created']} of {len(upserted['users'])} are new", file=sys.stderr)
        yield from upserted["users"]


def welcome(key, sender, user):
    """Sends somebody a message in the name of the sender, once."""
    started = ask(key, START, {"handle": user["handle"]}, act_as=sender)
    conversation = started["startConversation"]["conversation"]["id"]
    # The same key for the same welcome: a repeated send answers with the message of the first.
    once = "welcome " + hashlib.sha256(user["externalId"].encode()).hexdigest()
    body = f"Welcome, {user['handle']}!"
    ask(key, SEND, {"conversation": conversation, "body": body, "key": once}, act_as=sender)


if __name__ == "__main__":
    try:
        sender = os.environ.get("SENDER")
        for user in provision(os.environ["KEY"], [json.loads(line) for line in sys.stdin if line.strip()]):
            if sender and sender not in (f"external:{user['externalId']}", f"handle:{user['handle']}"):
                welcome(os.environ["KEY"], sender, user)
            print(json.dumps(user, ensure_ascii=False), flush=True)
    except Refused as refused:
        sys.exit(f"provision.py: herald refuses: {refused}")
