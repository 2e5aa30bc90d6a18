"""The process that reads one camera: decodes, samples and scales, and can be killed at any moment.

Run by `edge.cameras.child` as `python -m edge.cameras.process`; it ends with the station, whatever
ends that. A connection that fails is told to the station, which says when to try again; so a camera
that is away costs no new process each time.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
from contextlib import closing, suppress
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from edge.cameras.frame import Shot, SourceError
from edge.cameras.link import (
    NUM_SLOTS,
    Alive,
    Back,
    Connected,
    Fault,
    Link,
    LinkClosedError,
    LinkSilentError,
    Message,
    Picture,
    Read,
    Shape,
    new_memory,
    slots_of,
)
from edge.cameras.timeline import MAX_LIVE_GAP_S, Sampler, Timeline

ALIVE_S = 0.25  # between two signs of life
PATIENCE_S = 0.1  # for a free slot; a station that has none by then is stopped or starved
NICE = 10  # what is decoded and not encoded in time is wasted: the station's process goes first
PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Reader:
    """Reads one connection after another, as the station orders."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._slots: NDArray[np.uint8] | None = None
        self._first_slot = 0
        self._free: list[int] = []
        self._time_s = 0.0
        self._alive_s = 0.0  # when the station last heard of us, and what it has not heard yet
        self._damaged = self._dropped = 0
        self._zero_at_s = 0.0  # when the stream's second 0 was, by this connection's first shot

    def run(self) -> None:
        """Do what the station orders; raise `LinkClosedError` when it has gone."""
        self._tell()
        while True:
            message, _ = self._link.receive(None)
            if isinstance(message, Read):
                reason = self._read_until_fault(message)
                self._tell()
                self._link.send(Fault(reason))
            else:
                self._take_back(message)

    def _tell(self) -> None:
        self._link.send(Alive(self._time_s, self._damaged, self._dropped))
        self._alive_s = monotonic()
        self._damaged = self._dropped = 0

    def _read_until_fault(self, order: Read) -> str:
        sampler = Sampler(order.rate_hz)
        timeline: Timeline | None = None
        if order.origin_s is not None:
            sampler.skip_to(order.last_s)
        try:
            with closing(order.camera.shots()) as shots:
                for shot in shots:
                    if timeline is None and shot.image:
                        timeline = Timeline(starts_at_s=self._connected(order, shot))
                    if timeline:
                        self._take(shot, timeline, sampler)
                    else:  # only a picture shows that the camera works
                        self._damaged += not shot.intact
                    if monotonic() - self._alive_s >= ALIVE_S:
                        self._tell()
                    self._heed()
        except SourceError as error:
            return str(error)
        return "the stream ended"

    def _connected(self, order: Read, shot: Shot) -> float:
        """Return the source's time at the connection's first shot."""
        now_s = monotonic()
        self._link.send(Connected(now_s))
        start_s = 0.0
        if order.origin_s is not None:
            start_s = max(order.last_s + shot.interval_s, now_s - order.origin_s)
        self._time_s, self._zero_at_s = start_s, now_s - start_s
        return start_s

    def _take(self, shot: Shot, timeline: Timeline, sampler: Sampler) -> None:
        num_backward = timeline.num_backward
        behind_s = monotonic() - self._zero_at_s - self._time_s
        self._time_s = timeline.at(
            shot.pts_s, shot.interval_s, max_gap_s=max(0.0, behind_s) + MAX_LIVE_GAP_S
        )
        self._damaged += not shot.intact or timeline.num_backward > num_backward
        if (shot.image or shot.intact) and sampler.takes(self._time_s):
            self._hand_over(shot)

    def _hand_over(self, shot: Shot) -> None:
        has_slot = self._slots is None or self._free or self._heed(PATIENCE_S)
        if shot.image is None or not has_slot:
            self._dropped += 1
            return
        pixels = shot.image()
        if self._slots is None or self._slots.shape[1:] != pixels.shape:
            self._make_slots(*pixels.shape[:2])
        assert self._slots is not None
        slot = self._free.pop()
        self._slots[slot - self._first_slot] = pixels
        self._link.send(Picture(slot, self._time_s, shot.size))

    def _make_slots(self, height: int, width: int) -> None:
        self._first_slot += NUM_SLOTS
        self._free = list(range(self._first_slot, self._first_slot + NUM_SLOTS))
        shape = Shape(height, width, self._first_slot)
        memory = new_memory(shape)
        try:
            self._slots = slots_of(memory, shape)
            self._link.send(shape, memory=memory)
        finally:
            os.close(memory)

    def _take_back(self, message: Message) -> None:
        if isinstance(message, Back) and message.slot >= self._first_slot:
            self._free.append(message.slot)

    def _heed(self, limit_s: float = 0.0) -> bool:
        """Take what the station says, within the limit if none is free; return if a slot is."""
        with suppress(LinkSilentError):
            while True:
                message, _ = self._link.receive(0.0 if self._free else limit_s)
                self._take_back(message)
        return bool(self._free)


def main(end: int, station: int) -> None:
    """Serve the process `station` over the inherited socket `end`."""
    # Ctrl-C and the end of a process group go to the station too, which then lets go of us
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # the socket tells us of a dead station only between two pictures, the kernel at any moment
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != station:
        return
    os.nice(NICE)
    try:
        Reader(Link(socket.socket(fileno=end))).run()
    except LinkClosedError:
        return


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
