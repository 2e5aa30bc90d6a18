"""What an RTSP camera of H.264 says and sends: requests, description, payloads.

RFC 6184 (single NAL units and FU-A), RFC 2326 (interleaved in TCP, section 10.12). For cameras on
loopback that measurements and tests read.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator

CLOCK_HZ = 90_000  # of H.264 in RTP
PAYLOAD_TYPE = 96
MAX_PAYLOAD = 1400


def split(data: bytes) -> Iterator[bytes]:
    """Split an MP4 sample into NAL units, each behind its length in four bytes."""
    position = 0
    while position < len(data):
        length = int.from_bytes(data[position : position + 4])
        yield data[position + 4 : position + 4 + length]
        position += 4 + length


def fragments(nal: bytes) -> Iterator[bytes]:
    """Yield `nal` whole when it fits, else in FU-A fragments (RFC 6184, section 5.8)."""
    if len(nal) <= MAX_PAYLOAD:
        yield nal
        return
    indicator, kind = nal[0] & 0xE0 | 28, nal[0] & 0x1F
    for start in range(1, len(nal), MAX_PAYLOAD):
        is_first, is_last = start == 1, start + MAX_PAYLOAD >= len(nal)
        marks = is_first << 7 | is_last << 6 | kind
        yield bytes([indicator, marks]) + nal[start : start + MAX_PAYLOAD]


def parameter_sets(record: bytes) -> tuple[bytes, bytes]:
    """Return the sequence and the picture parameter set of an avcC record."""
    sps_end = 8 + int.from_bytes(record[6:8])
    return record[8:sps_end], record[sps_end + 3 :][: int.from_bytes(record[sps_end + 1 :][:2])]


def description(record: bytes) -> str:
    """Return the SDP of a clip whose avcC is `record`."""
    sps, pps = parameter_sets(record)
    sets = ",".join(base64.b64encode(item).decode() for item in (sps, pps))
    return (
        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        f"m=video 0 RTP/AVP {PAYLOAD_TYPE}\r\na=rtpmap:{PAYLOAD_TYPE} H264/{CLOCK_HZ}\r\n"
        f"a=fmtp:{PAYLOAD_TYPE} packetization-mode=1; profile-level-id={sps[1:4].hex()}; "
        f"sprop-parameter-sets={sets}\r\na=control:track\r\n"
    )


async def read_request(reader: asyncio.StreamReader) -> tuple[str, dict[str, str]] | None:
    """Return the next request's method and headers (lower case), None at the connection's end."""
    while (first := await reader.read(1)) == b"$":  # RTCP from the reader, of no interest
        _, *size = await reader.readexactly(3)
        await reader.readexactly(int.from_bytes(bytes(size)))
    if not first:
        return None
    lines = (first + await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {
        k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])
    }
    await reader.readexactly(int(headers.get("content-length", "0")))
    return lines[0].split(" ")[0], headers
