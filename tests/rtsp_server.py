"""An RTSP camera for tests: sends an H.264 file over RTP in TCP, and fails when told to.

Demultiplexes with PyAV and interleaves RTP packets (`edge.bench.rtp`) in the RTSP connection. The
file must have no B-frames, because RTP sends pictures in the order of decoding.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import av

from edge.bench import rtp
from edge.bench.rtp import CLOCK_HZ, PAYLOAD_TYPE

FIRST_SEQUENCE = 65_000  # soon wraps, so that every test goes over the wrap
FIRST_TIMESTAMP = 2**32 - 9 * CLOCK_HZ  # wraps after 9 s; not 0, which ffmpeg takes for unset


@dataclass(frozen=True)
class AccessUnit:
    """One coded picture: its NAL units and when it is shown, in seconds from the file's start."""

    nal_units: tuple[bytes, ...]
    time_s: float
    is_key: bool


class RtspServer:
    """Serves one file at `url` on loopback from a thread of its own.

    `pace` is the speed against real time (infinity: as fast as the reader takes it); `loops`
    starts again at the end instead of hanging up. With `continues` a later connection goes on at
    the next key frame behind what was sent, as a camera would; else it begins at the beginning.
    Faults: set `refusing`, or call `stall`, `resume`, `disconnect`. `num_sent` counts pictures.
    `units` gives what is sent instead of the file's own pictures; the file still describes it.
    """

    def __init__(
        self,
        path: Path,
        *,
        pace: float = 1.0,
        loops: bool = False,
        continues: bool = False,
        units: Callable[[], Iterator[AccessUnit]] | None = None,
    ) -> None:
        self.path, self.pace, self.continues = path, pace, continues
        self._units = units or partial(access_units, path, loops)
        self.refusing = False
        self.num_sent = 0
        self.num_connections = 0
        self.port = 0
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="rtsp server")

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/camera"

    def __enter__(self) -> Self:
        self._thread.start()
        starting = asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._server = asyncio.run_coroutine_threadsafe(starting, self._loop).result()
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._shut_down(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def stall(self) -> None:
        """Send nothing more, but keep the connections."""
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def resume(self) -> None:
        """End a stall."""
        self._loop.call_soon_threadsafe(self._flowing.set)

    def disconnect(self) -> None:
        """Hang up on everybody."""
        self._loop.call_soon_threadsafe(self._hang_up)

    def _hang_up(self) -> None:
        for writer in self._writers:
            writer.close()

    async def _shut_down(self) -> None:
        self._server.close()
        self._hang_up()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.num_connections += 1
        self._writers.add(writer)
        playing: asyncio.Task[None] | None = None
        try:
            while not self.refusing and (request := await rtp.read_request(reader)):
                method, headers = request
                writer.write(self._answer(method, headers))
                if method == "PLAY" and playing is None:
                    playing = asyncio.create_task(self._play(writer))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the reader hung up, as readers may
        except asyncio.CancelledError:
            pass  # the end of the test; Python 3.11 logs a handler that ends cancelled as an error
        finally:
            if playing:
                playing.cancel()
            self._writers.discard(writer)
            writer.close()

    def _answer(self, method: str, headers: dict[str, str]) -> bytes:
        lines = ["RTSP/1.0 200 OK", f"CSeq: {headers.get('cseq', '0')}", "Session: 1"]
        body = b""
        if method == "OPTIONS":
            lines.append("Public: OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN")
        elif method == "DESCRIBE":
            body = rtp.description(_record(self.path)).encode()
            lines += ["Content-Type: application/sdp", f"Content-Base: {self.url}/"]
        elif method == "SETUP":
            if "TCP" not in headers.get("transport", ""):
                lines[0] = "RTSP/1.0 461 Unsupported Transport"
            lines.append("Transport: RTP/AVP/TCP;unicast;interleaved=0-1")
        lines += [f"Content-Length: {len(body)}", "", ""]
        return "\r\n".join(lines).encode() + body

    async def _play(self, writer: asyncio.StreamWriter) -> None:
        packetizer = Packetizer()
        skip = self.num_sent if self.continues else 0
        start_s: float | None = None
        waits_for_key = True
        try:
            for index, unit in enumerate(self._units()):
                waits_for_key = waits_for_key and not (index >= skip and unit.is_key)
                if waits_for_key:
                    continue
                now_s = self._loop.time()
                start_s = now_s - unit.time_s / self.pace if start_s is None else start_s
                await asyncio.sleep(start_s + unit.time_s / self.pace - now_s)
                await self._flowing.wait()
                writer.writelines(packetizer.packets(unit))
                await writer.drain()
                self.num_sent = index + 1
            writer.close()
        except ConnectionError:
            pass  # the reader hung up, as readers may
        except asyncio.CancelledError:
            pass  # the end of the test; Python 3.11 logs a handler that ends cancelled as an error


class Packetizer:
    """Cuts access units into RTP packets with the frame of interleaving around each."""

    def __init__(self) -> None:
        self._sequence = FIRST_SEQUENCE

    def packets(self, unit: AccessUnit) -> Iterator[bytes]:
        timestamp = (FIRST_TIMESTAMP + round(unit.time_s * CLOCK_HZ)) % 2**32
        payloads = [payload for nal in unit.nal_units for payload in rtp.fragments(nal)]
        for index, payload in enumerate(payloads):
            marker = 0x80 if index == len(payloads) - 1 else 0  # the last of its picture
            header = bytes([0x80, marker | PAYLOAD_TYPE]) + self._sequence.to_bytes(2)
            packet = header + timestamp.to_bytes(4) + b"LINE" + payload
            self._sequence = (self._sequence + 1) % 2**16
            yield b"$\x00" + len(packet).to_bytes(2) + packet


def access_units(path: Path, loops: bool) -> Iterator[AccessUnit]:
    """Yield the pictures of the first video stream of `path`, again and again if it `loops`."""
    offset_s = 0.0
    while True:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            interval_s = float(1 / stream.average_rate)
            for packet in container.demux(stream):
                if packet.pts is None:
                    continue
                time_s = offset_s + float(packet.pts * packet.time_base)
                yield AccessUnit(tuple(rtp.split(bytes(packet))), time_s, packet.is_keyframe)
        if not loops:
            return
        offset_s = time_s + interval_s


def parameter_sets(path: Path) -> tuple[bytes, bytes]:
    """Return the sequence and the picture parameter set of `path`."""
    return rtp.parameter_sets(_record(path))


def _record(path: Path) -> bytes:
    with av.open(str(path)) as container:
        record: bytes = container.streams.video[0].codec_context.extradata
    return record
