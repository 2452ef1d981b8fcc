"""What each problem means and what to do about it, for the person who follows its `type`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple


class Explanation(NamedTuple):
    """What a problem means, and what to do."""

    meaning: str
    remedy: str


EXPLANATIONS: Final[Mapping[str, Explanation]] = {
    "bad-request": Explanation(
        "The request can't be read as what the route takes; `detail` says what is wrong with it or its body.",
        "Correct what `detail` names.",
    ),
    "invalid-path": Explanation(
        "The path is not percent-encoded UTF-8, or contains the character NUL.",
        "Percent-encode each part of the path by itself: a `/` inside an identifier is `%2F`.",
    ),
    "invalid-header": Explanation(
        "A header that may stand once stands twice, or its value is not what it takes.",
        "Send it once, as `detail` says.",
    ),
    "invalid-query": Explanation(
        "A parameter is unknown, or its value is not what it takes; `parameter` names it.",
        "Compare it with the route's parameters in the documentation. A cursor is good only for the filters and the "
        "order that it was made for.",
    ),
    "invalid-uuid": Explanation(
        "The route takes a UUID, and `provided` is none.",
        "Send 32 hexadecimal digits in groups of 8, 4, 4, 4 and 12, as in `example`. To look for another identifier, "
        "use the route with `/by/`.",
    ),
    "invalid-internal-id": Explanation(
        "The route takes a primary key, and `provided` can't be one of this entity.",
        "Use the route without `internal`: it takes any identifier.",
    ),
    "invalid-identifier": Explanation(
        "What was sent can't be an identifier of this entity.",
        "Compare it with the identifiers of the entity in the documentation.",
    ),
    "invalid-value": Explanation(
        "A member of the body can't be written: it is unknown or not to be changed, or its column can't hold the "
        "value. `field` names it.",
        "Correct the member. Primary keys and UUIDs come from the database alone.",
    ),
    "malformed-json": Explanation(
        "The body is no JSON object in UTF-8, or has not the members that the route takes.",
        "Compare the body with the route's example in the documentation.",
    ),
    "too-many-uuids": Explanation(
        "A batch has more UUIDs than `limit`.",
        "Send them in several batches.",
    ),
    "unauthorized": Explanation(
        "The request has no token, or one that is unknown, expired or revoked.",
        "Send `Authorization: Bearer` and the token. If it has ended, ask the site for a new one; an access token of "
        "OAuth 2 is renewed with client id and secret at `/oauth/token`.",
    ),
    "forbidden": Explanation(
        "The token is good, and its scopes do not reach this far.",
        "Ask the site for the scope that `detail` names.",
    ),
    "not-found": Explanation(
        "There is no such record, or no such resource.",
        "Check the identifier and the path. Records that a token may not read are to it as if they did not exist.",
    ),
    "method-not-allowed": Explanation(
        "The resource exists, and does not have this method.",
        "Use one of the methods that the header `Allow` lists.",
    ),
    "ambiguous-identifier": Explanation(
        "Several records answer to the identifier, each by another field.",
        "Choose one of `candidates`: ask by its UUID, or by its field with `/by/`.",
    ),
    "conflict": Explanation(
        "The database refuses the change because of what it holds: another record has the value, a record that is "
        "referred to does not exist. `fields` names the columns concerned.",
        "Read the record that is in the way, and decide.",
    ),
    "precondition-failed": Explanation(
        "The record has changed since the version that `If-Match` names.",
        "Read it again, apply the change to what it is now, and send it with the new `ETag`.",
    ),
    "body-too-large": Explanation(
        "The body has more bytes than the site accepts.",
        "Send less at a time.",
    ),
    "unsupported-media-type": Explanation(
        "The body is not JSON by its `Content-Type`, or is compressed.",
        "Send `Content-Type: application/json`, and no `Content-Encoding`.",
    ),
    "misdirected": Explanation(
        "The internal listener was asked for by a name that it does not answer to.",
        "Ask by its address, or have the name added to `internal_names` of the registry.",
    ),
    "rate-limited": Explanation(
        "The partner has used up its requests of this time.",
        "Wait for the seconds of `Retry-After`. Look up many records with one batch; ask the site if it is too few.",
    ),
    "internal-error": Explanation(
        "Something went wrong on the server that nobody foresaw.",
        "Tell the site the `requestId`: its log says more.",
    ),
    "busy": Explanation(
        "As many requests of this kind are under way as the site allows at a time.",
        "Try again after the seconds of `Retry-After`, one document after the other.",
    ),
    "database-unavailable": Explanation(
        "The server can't reach its database right now.",
        "Try again after the seconds of `Retry-After`.",
    ),
    "external-disabled": Explanation(
        "The site has switched external access off for now.",
        "Try again after the seconds of `Retry-After`, or ask the site.",
    ),
    "not-migrated": Explanation(
        "The records of this entity have no UUIDs yet, or not any more, so that they can't be asked for by them.",
        "Try again later. The site's own applications can use other identifiers.",
    ),
    "timeout": Explanation(
        "The database took longer than a request may take.",
        "Ask for less at a time, and try again after the seconds of `Retry-After`.",
    ),
}
"""Of every kind of problem."""
