"""A camera of RTSP in a process of its own: sends one clip to everybody, in real time, for ever.

`python -m edge.bench.camera_server CLIP` prints its URL, and ends with its standard input. Only for
measuring on loopback: the clip is cut into RTP packets once (RFC 6184, FU-A; interleaved in TCP as
of RFC 2326, section 10.12), so that the server takes little of the cores that are measured.
"""

from __future__ import annotations

import asyncio
import struct
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import av

from edge.bench.rtp import CLOCK_HZ, PAYLOAD_TYPE, description, fragments, read_request, split

HEADER = struct.Struct(">cBHBBHI4s")  # interleaving: $, channel, length; RTP: 12 bytes


@dataclass(frozen=True)
class Unit:
    """One coded picture: when it is shown, and the payloads of its packets."""

    time_s: float
    payloads: tuple[bytes, ...]


@dataclass(frozen=True)
class Programme:
    """A clip, ready to be sent: its pictures, how long it lasts, and its description (SDP)."""

    units: tuple[Unit, ...]
    duration_s: float
    description: str

    @classmethod
    def of(cls, path: Path) -> Programme:
        """Read the first video stream of `path`, H.264 in MP4 without B-pictures."""
        units = []
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            record = stream.codec_context.extradata
            assert record is not None
            assert stream.average_rate is not None
            interval_s = float(1 / stream.average_rate)
            for packet in container.demux(stream):
                if packet.pts is not None and packet.time_base is not None:
                    payloads = (part for nal in split(bytes(packet)) for part in fragments(nal))
                    units.append(Unit(float(packet.pts * packet.time_base), tuple(payloads)))
        return cls(tuple(units), units[-1].time_s + interval_s, description(record))


class CameraServer:
    """Answers each connection with the same programme, from its beginning."""

    def __init__(self, programme: Programme) -> None:
        self._programme = programme

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Talk to one reader until it hangs up."""
        playing: asyncio.Task[None] | None = None
        with suppress(ConnectionError, asyncio.IncompleteReadError):  # readers hang up as they like
            while request := await read_request(reader):
                method, headers = request
                writer.write(self._answer(method, headers.get("cseq", "0")))
                if method == "PLAY" and playing is None:
                    playing = asyncio.create_task(self._play(writer))
        if playing:
            playing.cancel()
        writer.close()

    def _answer(self, method: str, sequence: str) -> bytes:
        lines, body = ["RTSP/1.0 200 OK", f"CSeq: {sequence}", "Session: 1"], b""
        if method == "OPTIONS":
            lines.append("Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN")
        elif method == "DESCRIBE":
            body = self._programme.description.encode()
            lines.append("Content-Type: application/sdp")
        elif method == "SETUP":
            lines.append("Transport: RTP/AVP/TCP;unicast;interleaved=0-1")
        lines += [f"Content-Length: {len(body)}", "", ""]
        return "\r\n".join(lines).encode() + body

    async def _play(self, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        start_s, sequence, lap_s = loop.time(), 0, 0.0
        with suppress(ConnectionError):
            while True:
                for unit in self._programme.units:
                    time_s = lap_s + unit.time_s
                    await asyncio.sleep(start_s + time_s - loop.time())
                    writer.write(_packets(unit, time_s, sequence))
                    sequence += len(unit.payloads)
                    await writer.drain()
                lap_s += self._programme.duration_s


def _packets(unit: Unit, time_s: float, sequence: int) -> bytes:
    timestamp = (1 + round(time_s * CLOCK_HZ)) % 2**32  # not 0, which ffmpeg takes for unset
    data = bytearray()
    for index, payload in enumerate(unit.payloads):
        marker = 0x80 if index == len(unit.payloads) - 1 else 0  # the last of its picture
        number, length = (sequence + index) % 2**16, 12 + len(payload)
        kind = marker | PAYLOAD_TYPE
        data += HEADER.pack(b"$", 0, length, 0x80, kind, number, timestamp, b"LINE")
        data += payload
    return bytes(data)


async def main(path: Path) -> None:
    """Serve `path` until standard input ends."""
    camera = CameraServer(Programme.of(path))
    server = await asyncio.start_server(camera.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    print(f"rtsp://127.0.0.1:{port}/camera", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
