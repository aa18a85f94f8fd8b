"""RouteRunner: takes the segments of a request through the models of a route."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from latimer_server.core.errors import NotServed
from latimer_server.core.flags import Flag
from latimer_server.core.usage import Usage
from latimer_server.models.pool.pool import ModelPool
from latimer_server.models.routing import Route
from latimer_server.scheduling import InflightLimit
from latimer_server.text.protection.masking import ProtectedText
from latimer_server.translation.model_run import ModelRunOptions
from latimer_server.translation.reading_run import run_readings
from latimer_server.translation.segment_output import SegmentOutput


class RouteRunner:
    """Runs segments on the models of a pool, one model of a route after the other."""

    def __init__(self, pool: ModelPool) -> None:
        self._pool = pool

    async def run(
        self,
        route: Route,
        segments: Sequence[ProtectedText],
        options: ModelRunOptions,
        inflight: InflightLimit,
        usage: Usage,
    ) -> list[SegmentOutput | Exception]:
        """Takes segments through every model of a route, and returns their outputs or errors, in order.

        A segment that fails at one model skips the next ones. `inflight` bounds the pieces in the queues; `usage` is
        added to.
        """
        if len(route.models) == 1:
            return await self._run_single_model(route, segments, options, inflight, usage)
        pivoted = (Flag.PIVOTED,)
        results: list[SegmentOutput | Exception] = [SegmentOutput(segment.text, flags=pivoted) for segment in segments]
        inputs = list(segments)
        orders = [tuple(range(len(segment.spans))) for segment in segments]
        last = len(route.models) - 1
        for step, (name, languages) in enumerate(zip(route.models, route.language_pairs, strict=True)):
            active = [(index, result) for index, result in enumerate(results) if isinstance(result, SegmentOutput)]
            active_inputs = [inputs[index] for index, _ in active]
            try:
                # Only the last model needs alternatives; the next model reads the best output of an earlier one.
                count = options.decoding.hypothesis_count if step == last else 1
                step_options = replace(options, languages=languages, decoding=options.decoding.with_hypotheses(count))
                outputs = await self._run_one_model(name, active_inputs, step_options, inflight, usage)
            except NotServed as error:
                return [error] * len(segments)
            for (index, result), output in zip(active, outputs, strict=True):
                results[index] = result.followed_by(output) if isinstance(output, SegmentOutput) else output
                if isinstance(output, SegmentOutput) and step < last:
                    inputs[index], orders[index] = _order_spans(output, orders[index])
                elif isinstance(output, SegmentOutput):
                    # Spans return to the order of the source. Links are dropped: they cover the last model only.
                    spans = dict(zip(orders[index], output.protected, strict=True))
                    ordered = tuple(spans[place] for place in sorted(spans))
                    results[index] = replace(results[index], protected=ordered, links=None)  # type: ignore[type-var]
        return results

    async def _run_single_model(
        self,
        route: Route,
        segments: Sequence[ProtectedText],
        options: ModelRunOptions,
        inflight: InflightLimit,
        usage: Usage,
    ) -> list[SegmentOutput | Exception]:
        """Takes segments through the only model of a route."""
        try:
            step_options = replace(options, languages=route.language_pairs[0])
            return await self._run_one_model(route.models[0], segments, step_options, inflight, usage)
        except NotServed as error:
            return [error] * len(segments)

    async def _run_one_model(
        self,
        name: str,
        segments: Sequence[ProtectedText],
        options: ModelRunOptions,
        inflight: InflightLimit,
        usage: Usage,
    ) -> list[SegmentOutput | Exception]:
        """Takes segments through one model. The caller holds no reference to it, so the pool can unload it."""
        async with self._pool.hold_generator(name) as model:
            return await run_readings(model, segments, options, inflight, usage)


def _order_spans(output: SegmentOutput, order: Sequence[int]) -> tuple[ProtectedText, tuple[int, ...]]:
    """Returns an output as the next model's input, its spans ascending, and the index of each span in the source."""
    ordered = sorted(zip(output.protected, order, strict=True), key=lambda pair: pair[0].start)
    return ProtectedText(output.text, tuple(span for span, _ in ordered)), tuple(index for _, index in ordered)
