"""Are too many containers of this host, or of all hosts, sick at once? Then the monitor or the host is."""

from __future__ import annotations

from bridge.guards.situation import Situation
from bridge.model.refusal import GuardAnswer, Reason, Refusal
from bridge.model.share import ShareScope

NAME = "fleet_share"


def refuse(situation: Situation) -> GuardAnswer:
    """Refuses while the share of sick containers is too large anywhere around the target, and for a while afterwards."""
    shares = [share for share in situation.shares if share.population.scope is not ShareScope.PROJECT]
    inputs = {
        (f"{share.population.scope} {name}" if len(shares) > 1 else name): text
        for share in shares
        for name, text in share.inputs.items()
    } or {"known": "unknown"}
    suspect = next((share for share in shares if share.suspect), None)
    if suspect is None:
        return GuardAnswer(guard=NAME, inputs=inputs)
    refusal = Refusal(reason=Reason.FLEET_SHARE, detail=suspect.detail, until=suspect.until)
    return GuardAnswer(guard=NAME, inputs=inputs, refusal=refusal)
