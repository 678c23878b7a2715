"""What the walk needs from outside, as Protocols: it knows these roles, never a vendor.

Every method may raise ``EdgeUnavailable`` (try again later) or ``EdgeRejected`` (it said no); what else a method
raises is named at the method. All times are aware UTC.
"""

from __future__ import annotations

from bridge.roles.approvals import Answered, AnswerResult, Approvals
from bridge.roles.asking import Model, Overspent, Reservation, Spending
from bridge.roles.budgets import Budgets, BudgetState, Grant, Pause, Storms
from bridge.roles.containers import Containers, EngineEvents, EngineHistory, ToldEvent
from bridge.roles.journal import Acceptance, Episodes, EpisodeView, Held, Journal, Record
from bridge.roles.watchers import ActiveAlerts, AlertLister, AlertView, Figures, ListedAlert
from bridge.roles.work import Claims, Deadman, HeldElsewhere, Turn, WorkQueue

__all__ = [
    "Acceptance",
    "ActiveAlerts",
    "AlertLister",
    "AlertView",
    "AnswerResult",
    "Answered",
    "Approvals",
    "BudgetState",
    "Budgets",
    "Claims",
    "Containers",
    "Deadman",
    "EngineEvents",
    "EngineHistory",
    "EpisodeView",
    "Episodes",
    "Figures",
    "Grant",
    "Held",
    "HeldElsewhere",
    "Journal",
    "ListedAlert",
    "Model",
    "Overspent",
    "Pause",
    "Record",
    "Reservation",
    "Spending",
    "Storms",
    "ToldEvent",
    "Turn",
    "WorkQueue",
]
