"""Whether a provider is worth asking."""

from bridge.consulting.breaker import LONGEST_SECONDS, OPEN_SECONDS, ProviderBreaker


def failing(times: int, breaker: ProviderBreaker | None = None) -> ProviderBreaker:
    breaker = breaker or ProviderBreaker()
    for _ in range(times):
        assert breaker.admit(0.0)
        breaker.failed(0.0)
    return breaker


def test_it_opens_after_five_failures_in_a_row() -> None:
    assert not failing(4).is_open(0.0)
    assert failing(5).is_open(0.0)


def test_it_opens_when_half_of_the_last_ten_failed() -> None:
    breaker = ProviderBreaker()
    for n in range(10):
        assert breaker.admit(0.0), n
        if n % 2:
            breaker.failed(0.0)
        else:
            breaker.succeeded()
    assert breaker.is_open(0.0)


def test_after_a_minute_one_probe_decides() -> None:
    breaker = failing(5)
    assert not breaker.admit(OPEN_SECONDS - 1)
    assert breaker.admit(OPEN_SECONDS)
    assert not breaker.admit(OPEN_SECONDS), "one probe at a time"
    breaker.failed(OPEN_SECONDS)
    assert not breaker.admit(2 * OPEN_SECONDS - 1)
    assert breaker.admit(2 * OPEN_SECONDS)
    breaker.succeeded()
    assert breaker.admit(2 * OPEN_SECONDS)
    breaker.failed(2 * OPEN_SECONDS)
    assert not breaker.is_open(2 * OPEN_SECONDS), "what was before the probe is forgotten"


def test_a_provider_is_left_alone_for_as_long_as_it_says_but_not_longer_than_ten_minutes() -> None:
    for said, kept in ((30.0, 30.0), (3600.0, LONGEST_SECONDS), (4_294_967.0, LONGEST_SECONDS)):
        breaker = ProviderBreaker()
        breaker.admit(0.0)
        breaker.failed(0.0, stay_away_seconds=said)
        assert breaker.is_open(kept - 1)
        assert not breaker.is_open(kept)


def test_an_answer_that_was_under_way_when_it_opened_closes_it() -> None:
    breaker = failing(5)
    breaker.succeeded()
    assert not breaker.is_open(0.0)
