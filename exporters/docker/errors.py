"""What can go wrong, in one tree. No I/O and no texts for people beyond the message.

ExporterError
├── UsageError         cli: one line, exit 2
└── EngineError        inventory: counted, the last inventory stays up
    ├── EngineAway     no connection, or it broke: connect anew
    │   └── EngineSlow connected, no answer in time: perhaps one container, perhaps the whole Engine
    ├── EngineRefused  an HTTP status that is not the answer
    │   └── EngineMissing there is no such container or image (any more): an answer in itself
    └── EngineNonsense an answer that cannot be read
"""


class ExporterError(Exception):
    """Root of the exporter's own errors."""


class UsageError(ExporterError):
    """A flag or an environment variable that cannot be used."""


class EngineError(ExporterError):
    """The Docker Engine did not answer as it should."""


class EngineAway(EngineError):
    """No connection to the Engine, or it broke."""


class EngineSlow(EngineAway):
    """Connected, but no answer within the timeout."""


class EngineRefused(EngineError):
    """The Engine answered with an HTTP status that carries no answer."""


class EngineMissing(EngineRefused):
    """The Engine knows nothing of that name."""


class EngineNonsense(EngineError):
    """The Engine's answer could not be read."""
