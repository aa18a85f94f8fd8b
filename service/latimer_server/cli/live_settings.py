"""The settings of a running server, some of which SIGHUP changes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pydantic import ValidationError

from latimer_server.cli.options import describe_faults
from latimer_server.cli.setting_options import GivenOptions
from latimer_server.config.origins import find_origins
from latimer_server.config.settings import Settings, load_settings
from latimer_server.core.errors import LatimerError

if TYPE_CHECKING:
    from latimer_server.rpc.server import LatimerServer

_log = logging.getLogger(__name__)

# The settings that take effect at once. The others need a restart.
LIVE_SETTINGS = frozenset({"log_level", "log_ok_share", "drain_seconds"})


class SettingsError(LatimerError):
    """The settings of a running server were changed to ones that cannot be used."""


class LiveSettings:
    """The settings in use. `current`: those that take effect now."""

    def __init__(self, settings: Settings, options: GivenOptions, server: LatimerServer) -> None:
        self.current = settings
        self._options = options
        self._server = server

    def load(self) -> None:
        """Reads the settings again. Those of `LIVE_SETTINGS` take effect; others that have changed are logged.

        Raises `SettingsError`, and changes nothing then.
        """
        try:
            read = load_settings(self._options.config, **self._options.values)
        except ValidationError as error:
            origins = find_origins(self._options.config, self._options.values)
            raise SettingsError(describe_faults(error, origins)) from None
        except (OSError, ValueError) as error:
            raise SettingsError(str(error)) from None
        changed = [name for name in Settings.model_fields if getattr(read, name) != getattr(self.current, name)]
        live = {name: getattr(read, name) for name in changed if name in LIVE_SETTINGS}
        self.current = self.current.model_copy(update=live)
        logging.getLogger().setLevel(self.current.log_level)
        self._server.log_ok_share = self.current.log_ok_share
        if waiting := [name for name in changed if name not in LIVE_SETTINGS]:
            _log.warning("settings need a restart", extra={"settings": ",".join(waiting)})
