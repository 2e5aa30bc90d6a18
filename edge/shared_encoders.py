"""The image encoders of a process, each loaded once and shared by the stations that use it."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from edge.batching_encoder import BatchingEncoder
from edge.deployment import Station
from models.card import ModelCard
from models.runtime import RuntimeName, encoder_of


class SharedEncoders:
    """Gives each station its encoder; `with` ends their threads."""

    def __init__(self, *, num_clients: int) -> None:
        """`num_clients` is how many stations there will be at most."""
        self._num_clients = num_clients
        self._encoders: dict[tuple[str | None, RuntimeName, bool], BatchingEncoder] = {}

    def of(self, card: ModelCard, station: Station) -> BatchingEncoder:
        """Return the encoder of a station's model on the runtime that the station names.

        Raises `ModelError` for a model of published features, and when the runtime is not here.
        """
        key = card.encoder, station.runtime, station.runtime_fallback
        if key not in self._encoders:
            encoder = encoder_of(card, station.runtime, fallback=station.runtime_fallback)
            self._encoders[key] = BatchingEncoder(encoder, num_clients=self._num_clients)
        return self._encoders[key]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for encoder in self._encoders.values():
            encoder.close()
