"""The servicer of ModelService: lists, describes, loads and unloads the models of the catalogue."""

from __future__ import annotations

from latimer.v1 import models_pb2 as pb
from latimer_server.core.errors import PermissionDenied
from latimer_server.core.languages import match_code
from latimer_server.models.pool.loaded_model import ModelStatus
from latimer_server.models.pool.pool import ModelPool
from latimer_server.rpc.call import Call
from latimer_server.rpc.servicers.validation import Rules


class ModelServicer:
    """Implements `latimer.v1.ModelService`. LoadModel and UnloadModel raise `PermissionDenied` unless `admin` is
    true."""

    def __init__(self, pool: ModelPool, *, admin: bool = False) -> None:
        self._pool = pool
        self._admin = admin

    async def ListModels(self, request: pb.ListModelsRequest, call: Call) -> pb.ListModelsResponse:  # noqa: N802
        """Lists the models of the catalogue that pass the filters, one page at a time."""
        rules = Rules()
        rules.require(request.task in pb.ModelTask.values(), "task", "is not a value of ModelTask")
        rules.require(request.state in pb.ModelState.values(), "state", "is not a value of ModelState")
        source = rules.language(request.source_language_code, "source_language_code", optional=True)
        target = rules.language(request.target_language_code, "target_language_code", optional=True)
        start, size = rules.page(request.page_size, request.page_token)
        rules.enforce()
        models = [
            model
            for model in (_to_model(self._pool.describe(entry.name)) for entry in self._pool.catalog.entries)
            if request.task in (pb.MODEL_TASK_UNSPECIFIED, model.task)
            and request.state in (pb.MODEL_STATE_UNSPECIFIED, model.state)
            and (not source or match_code(source, model.source_language_codes))
            and (not target or match_code(target, model.target_language_codes))
        ]
        return pb.ListModelsResponse(
            models=models[start : start + size],
            next_page_token=str(start + size) if start + size < len(models) else "",
        )

    async def GetModel(self, request: pb.GetModelRequest, call: Call) -> pb.GetModelResponse:  # noqa: N802
        """Describes one model. Raises `NotServed` if the catalogue does not contain it."""
        _check_name(request.name)
        return pb.GetModelResponse(model=_to_model(self._pool.describe(request.name)))

    async def LoadModel(self, request: pb.LoadModelRequest, call: Call) -> pb.LoadModelResponse:  # noqa: N802
        """Loads a model and answers when it is READY, or with the error if it cannot be loaded.

        A model that failed a moment ago is tried again at once.
        """
        self._require_admin("LoadModel")
        _check_name(request.name)
        return pb.LoadModelResponse(model=_to_model(await self._pool.load(request.name, again=True)))

    async def UnloadModel(self, request: pb.UnloadModelRequest, call: Call) -> pb.UnloadModelResponse:  # noqa: N802
        """Unloads a model once no request uses it, and answers with its state afterwards."""
        self._require_admin("UnloadModel")
        _check_name(request.name)
        return pb.UnloadModelResponse(model=_to_model(await self._pool.unload(request.name)))

    def _require_admin(self, method: str) -> None:
        if not self._admin:
            raise PermissionDenied(
                f"{method} is disabled; start the server with --admin or LATIMER_ADMIN=true to enable it"
            )


def _check_name(name: str) -> None:
    rules = Rules()
    rules.require(name, "name", "is required")
    rules.enforce()


def _to_model(status: ModelStatus) -> pb.Model:
    entry = status.entry
    return pb.Model(
        name=entry.name,
        state=pb.ModelState.Value(f"MODEL_STATE_{status.state.name}"),
        task=pb.ModelTask.Value(f"MODEL_TASK_{entry.task.name}"),
        family=entry.family,
        backend=status.backend or entry.backend,
        compute_type=status.compute_type,
        source_language_codes=entry.source_languages,
        target_language_codes=entry.target_languages,
        max_input_tokens=status.max_input_tokens,
        memory_bytes=status.memory_bytes,
        revision=entry.revision,
        sha256=status.weights_sha256,
        license=entry.license,
        attribution=entry.attribution,
        error_message=status.error,
    )
