"""Request backlog: the accepted work of one model, from which the end of a new request is estimated.

The queue of a model sees a request only once its text is segmented. Of a burst of calls each would thus find the queue
empty, be accepted, and be late. So a request is counted here when it arrives, by the length of its text.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from latimer_server.core.callers import find_group
from latimer_server.core.errors import DeadlineExceeded
from latimer_server.scheduling.work_items import Clock

# Shorter requests take mostly fixed time, which says nothing about long ones.
_LEAST_MEASURED = 4_000
# The least share of a request's tokens that the model must have computed.
_LEAST_COMPUTED = 0.5
# The share of the measured rate that is kept after a slower measurement.
_KEPT_RATE = 0.9
# The rate by which short requests are accepted rises by this factor with each that ends in time. It must rise slowly: a
# request that is late is noticed only at its deadline, and all that were accepted since then are late too.
_IN_TIME_FACTOR = 1.0002
# The fixed cost of a request, expressed in code points. With less, a hundredth of the calls of 400 threads was late;
# see benchmarks/service/overload/crowds.py.
FIXED_CHARACTERS = 500
# Requests in work that are together shorter than this share of a new one delay it by little.
_SHORT_SHARE = 0.1
# A request of at least so many code points shows a lower bound of the rate: a share of its own rate, for some seconds.
# The measured rate of tokens may be too low after unusual texts, and requests that are refused would never correct it.
_LEAST_SHOWING = 300
_SHOWN_SHARE = 0.5
_SHOWN_SECONDS = 10.0
# gRPC may end a call so much before its deadline on the server's clock.
_LATE_SECONDS = 0.01
# Weight of the newest request in the average share of a caller, and the most callers whose share is remembered.
_SHARE_SMOOTHING = 0.5
_MOST_SHARES = 1_024
# `TokenRatio` averages over about this many of the latest code points.
_AVERAGED_CHARACTERS = 1_000_000


class TokenRatio:
    """The average number of tokens per code point of the texts that a model was given."""

    def __init__(self) -> None:
        self._characters = 0.0
        self._tokens = 0.0

    @property
    def ratio(self) -> float:
        """Tokens per code point; 0 before anything was measured."""
        return self._tokens / self._characters if self._characters else 0.0

    def note(self, characters: int, tokens: int) -> None:
        """Adds texts of `characters` code points that have `tokens` tokens."""
        kept = max(0.0, 1 - characters / _AVERAGED_CHARACTERS)
        self._characters = kept * self._characters + characters
        self._tokens = kept * self._tokens + tokens


@dataclass(eq=False)
class HeldRequest:
    """A request in work. `characters`: the code points that it counts as, without its fixed cost. `replace_characters`
    is called with this object and the code points that replace them."""

    characters: int
    replace_characters: Callable[[HeldRequest, int], None]

    def settle(self, computed: int) -> None:
        """Replaces the code points by those that the model computes, at most those of the whole request."""
        self.replace_characters(self, computed)


class RequestBacklog:
    """The interactive requests of one model that are in work, by caller, in code points. `clock` returns seconds.

    A request counts until it ends, and each has a fixed cost besides its text. Equal segments and those without words
    are no work for the model, but that is known only once the text is segmented. Until then a request counts for the
    share that the model computed of the latest requests of its caller. The queue of the model reports the tokens of the
    texts that it is given and of those that it has computed.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._by_group: dict[Hashable, Counter[Hashable]] = {}  # of each group by caller
        self._total = 0
        # Code points of all requests that ended well, without and with their fixed cost.
        self._finished_text = 0
        self._finished = 0
        self._rate = 0.0  # of whole requests; 0 before any was measured
        self._accepting_rate = 0.0  # by which the last request was accepted
        self._short_rate = 0.0  # by which short requests are accepted; 0 while none of them is late
        # A lower bound of the rate, shown by a request that ended, and the time of that.
        self._shown_rate, self._shown_at = 0.0, 0.0
        self._token_ratio = TokenRatio()
        self._computed_tokens = 0
        self._shares: OrderedDict[Hashable, float] = OrderedDict()  # by caller, the latest last; others have 1

    def note_encoding(self, characters: int, tokens: int) -> None:
        """Adds texts of `characters` code points that have `tokens` tokens."""
        self._token_ratio.note(characters, tokens)

    def note_computed(self, tokens: int) -> None:
        """Adds tokens that the model has computed."""
        self._computed_tokens += tokens

    def estimate_seconds(self, characters: int, caller: Hashable, token_rate: float, seconds_left: float) -> float:
        """Returns the estimated seconds until a new request of `characters` code points ends; 0 if it ends in time.

        `token_rate` is what the model computes, in tokens per second. If whole requests took longer, because of the
        work on their texts, the rate measured for them counts. Callers take turns, so another caller delays the request
        by no more than what this caller has in work itself, the new request included. The callers of another group
        (see `find_group`) count as one, whose turns come before each turn of this group. Without other requests, or if
        all of them are short beside this one, the estimate is 0: an idle model tries everything, and so learns a better
        rate.
        """
        if not self._token_ratio.ratio:
            return 0.0
        rate = token_rate / self._token_ratio.ratio
        if rate and self._clock() - self._shown_at < _SHOWN_SECONDS:
            rate = max(rate, self._shown_rate)
        rate = min(rate, self._rate or rate)
        if characters < _LEAST_MEASURED:
            rate = min(rate, self._short_rate or rate)
        self._accepting_rate = rate
        size = self.estimate_computed(characters, caller) + FIXED_CHARACTERS
        if self.is_idle_beside(characters, caller) or rate <= 0 or (self._total + size) / rate <= seconds_left:
            return 0.0
        seconds = self._count_before(size, caller) / rate
        return seconds if seconds > seconds_left else 0.0

    def estimate_computed(self, characters: int, caller: Hashable) -> int:
        """Returns the code points that the model will probably compute of a request of `characters` code points. Any
        thread may call it."""
        return round(characters * self._shares.get(caller, 1.0))

    def is_idle_beside(self, characters: int, caller: Hashable) -> bool:
        """Returns True if the requests in work are together short beside a new one. Any thread may call it."""
        return self._total < _SHORT_SHARE * (self.estimate_computed(characters, caller) + FIXED_CHARACTERS)

    def has_work_of(self, caller: Hashable) -> bool:
        """Returns True if a request of this caller, or of another one of its group, is in work."""
        return find_group(caller) in self._by_group

    def _count_before(self, size: int, caller: Hashable) -> int:
        """Returns the code points that are done by the end of a new request of `size` code points."""
        group = find_group(caller)
        callers = self._by_group.get(group, Counter())
        own = callers.get(caller, 0) + size
        shared = own + sum(min(held, own) for other, held in callers.items() if other != caller)
        others = (held.total() for other, held in self._by_group.items() if other != group)
        return shared + sum(min(held, shared) for held in others)

    @contextmanager
    def hold(self, characters: int, caller: Hashable, deadline: float | None = None) -> Iterator[HeldRequest]:
        """Counts a request of `characters` code points until the context ends. `deadline`: a reading of the clock.
        The context is the request.

        A long request that ends without an error is a measurement of the rate, unless the model had little to do for
        it: text that is cached, repeated or not translated takes other time. A short one takes mostly fixed time, so it
        only corrects a rate that is too low. A long request that reached its deadline shows that the rate by which it
        was accepted is too high.
        """
        began, finished, computed = self._clock(), self._finished, self._computed_tokens
        finished_text = self._finished_text
        expected = self.estimate_computed(characters, caller)
        before = self._count_before(expected + FIXED_CHARACTERS, caller)
        self._add(expected + FIXED_CHARACTERS, caller)
        # A function made here would refer to the request, and the request to it.
        held = HeldRequest(expected, partial(self._settle, characters, caller))
        try:
            yield held
            self._finished += held.characters + FIXED_CHARACTERS
            self._finished_text += held.characters
            tokens = self._computed_tokens - computed
            if tokens >= _LEAST_COMPUTED * (self._finished_text - finished_text) * self._token_ratio.ratio:
                seconds = self._clock() - began
                self._note_shown_rate(held.characters, seconds)
                is_long = held.characters >= _LEAST_MEASURED
                self._learn(self._finished - finished, seconds, is_long=is_long)
                if not is_long:
                    self._short_rate *= _IN_TIME_FACTOR
        except BaseException as error:
            now = self._clock()
            is_late = isinstance(error, DeadlineExceeded) or (deadline is not None and now >= deadline - _LATE_SECONDS)
            if is_late and held.characters >= _LEAST_MEASURED:
                self._learn_too_late(before, now - began)
            elif is_late:
                self._learn_short_too_late(before, now - began)
            raise
        finally:
            self._add(-held.characters - FIXED_CHARACTERS, caller)

    def _settle(self, characters: int, caller: Hashable, held: HeldRequest, computed: int) -> None:
        computed = min(computed, characters)
        self._add(computed - held.characters, caller)
        held.characters = computed
        self._learn_share(caller, computed / max(characters, 1))

    def _learn_share(self, caller: Hashable, share: float) -> None:
        average = self._shares.pop(caller, 1.0)
        self._shares[caller] = average + _SHARE_SMOOTHING * (share - average)
        if len(self._shares) > _MOST_SHARES:
            self._shares.popitem(last=False)

    def _add(self, size: int, caller: Hashable) -> None:
        self._total += size
        group = find_group(caller)
        callers = self._by_group.setdefault(group, Counter())
        callers[caller] += size
        if not callers[caller]:
            del callers[caller]
        if not callers:
            del self._by_group[group]

    def _note_shown_rate(self, characters: int, seconds: float) -> None:
        """Adds a request that ended well: the model cannot be slower than it was for this request alone."""
        if characters < _LEAST_SHOWING:
            return
        now, shown = self._clock(), _SHOWN_SHARE * (characters + FIXED_CHARACTERS) / max(seconds, 1e-6)
        if shown >= self._shown_rate or now - self._shown_at >= _SHOWN_SECONDS:
            self._shown_rate, self._shown_at = shown, now

    def _learn(self, characters: int, seconds: float, *, is_long: bool) -> None:
        """Adds a measurement. Of requests that share the model only the last ones to end see its full rate."""
        if is_long or self._rate:
            kept = _KEPT_RATE if is_long else 1.0
            self._rate = max(kept * self._rate, characters / max(seconds, 1e-6))

    def _learn_short_too_late(self, characters: int, seconds: float) -> None:
        """Adds that `characters` code points until the end of a short request took longer than `seconds`."""
        # In-time requests raise it without a bound: it counts no higher than the rate that accepted the last request.
        rate = min(self._short_rate or self._accepting_rate, self._accepting_rate)
        self._short_rate = max(_KEPT_RATE * rate, min(rate, characters / max(seconds, 1e-6)))

    def _learn_too_late(self, characters: int, seconds: float) -> None:
        """Adds that `characters` code points took longer than `seconds`."""
        rate = self._rate or self._accepting_rate
        self._rate = max(_KEPT_RATE * rate, min(rate, characters / max(seconds, 1e-6)))
