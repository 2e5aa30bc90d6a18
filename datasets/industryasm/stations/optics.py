"""The rendered cameras: mount, lens, light and noise, laid over a picture of the bench.

Only integer and fixed-point operations touch the pixels, so that a seed gives the same picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from industryasm.stations.bench import HEIGHT, WIDTH, Colour

_MARGIN = 4  # pixels that a shaking camera may move


@dataclass(frozen=True, eq=False)
class Camera:
    """How one camera sees the bench.

    `homography` (3, 3) maps bench pixels to picture pixels; `distortion` is the radial term of the
    lens (above 0: barrel); `tint` shifts the colour of the light, of 255 a channel; `light` is how
    much brighter it gets from the middle to the right and to the lower edge;
    `drift` and `flicker` are shares of the brightness; `shake` is in pixels; `crf` is x264's.
    """

    name: str
    homography: np.ndarray
    distortion: float
    gain: float
    offset: float
    gamma: float
    tint: tuple[int, int, int]
    light: tuple[float, float]
    drift: float
    flicker: float
    noise: float
    blur: bool
    shake: float
    crf: int
    bench: Colour


def draw_camera(name: str, rng: np.random.Generator) -> Camera:
    """Draw a camera at random."""
    return Camera(
        name=name,
        homography=_draw_homography(rng),
        distortion=float(rng.uniform(-0.02, 0.1)),
        gain=float(rng.uniform(0.85, 1.2)),
        offset=float(rng.uniform(-15, 18)),
        gamma=float(rng.uniform(0.75, 1.15)),
        tint=tuple(int(v) for v in rng.integers(-24, 25, 3)),  # type: ignore[arg-type]
        light=(float(rng.uniform(-0.3, 0.3)), float(rng.uniform(-0.3, 0.3))),
        drift=float(rng.uniform(0, 0.08)),
        flicker=float(rng.uniform(0, 0.025)),
        noise=float(rng.uniform(2, 8)),
        blur=bool(rng.random() < 0.3),
        shake=float(rng.choice([0.0, 0.0, 0.5, 1.0])),
        crf=int(rng.integers(25, 35)),
        bench=tuple(int(v) for v in rng.integers(85, 185, 1).repeat(3) + rng.integers(-10, 11, 3)),  # type: ignore[arg-type]
    )


class Optics:
    """Shows pictures of the bench as one camera sees them, frame after frame."""

    def __init__(self, camera: Camera, rng: np.random.Generator, *, rate_hz: float) -> None:
        self._camera, self._rng, self._rate_hz = camera, rng, rate_hz
        self._map = _lens_map(camera)
        self._light = _light_map(camera)
        grain = rng.normal(0, camera.noise, (HEIGHT + 64, WIDTH + 64, 3)).round()
        self._brighter = np.clip(grain, 0, 255).astype(np.uint8)
        self._darker = np.clip(-grain, 0, 255).astype(np.uint8)
        self._phase = float(rng.uniform(0, 2 * np.pi))
        self._num_frames = 0

    def see(self, picture: np.ndarray) -> np.ndarray:
        """Return the (240, 320, 3) uint8 RGB picture of the bench as the camera gives it."""
        camera, rng = self._camera, self._rng
        seen = cv2.remap(picture, *self._map, cv2.INTER_LINEAR)
        dx, dy = np.clip(rng.normal(0, camera.shake, 2).round(), -_MARGIN, _MARGIN).astype(int)
        seen = seen[_MARGIN + dy : _MARGIN + dy + HEIGHT, _MARGIN + dx : _MARGIN + dx + WIDTH]
        if camera.blur:
            seen = cv2.GaussianBlur(seen, (3, 3), 0)
        seen = cv2.LUT(cv2.multiply(seen, self._light, scale=1 / 255), self._curve())
        y, x = rng.integers(0, 64, 2)
        seen = cv2.add(seen, self._brighter[y : y + HEIGHT, x : x + WIDTH])
        self._num_frames += 1
        return np.asarray(cv2.subtract(seen, self._darker[y : y + HEIGHT, x : x + WIDTH]))

    def _curve(self) -> np.ndarray:
        camera = self._camera
        slow = np.sin(self._phase + 2 * np.pi * self._num_frames / (40 * self._rate_hz))
        gain = camera.gain + camera.drift * slow + camera.flicker * float(self._rng.normal())
        level = 255 * (np.arange(256) / 255) ** camera.gamma * gain + camera.offset
        return np.asarray(np.clip(level, 0, 255).astype(np.uint8))


def _draw_homography(rng: np.random.Generator) -> np.ndarray:
    corners = np.array([[0, 0], [WIDTH, 0], [WIDTH, HEIGHT], [0, HEIGHT]], np.float32)
    centre = np.array([WIDTH / 2, HEIGHT / 2], np.float32)
    zoom = float(rng.uniform(0.9, 1.05))
    angle = float(rng.uniform(-0.08, 0.08))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = (corners - centre) @ turn.T * zoom + centre + rng.uniform(-8, 8, 2)
    moved += rng.uniform(-11, 11, (4, 2))
    far = float(rng.uniform(0, 22))  # a camera in front looks along the bench: its far edge shrinks
    moved[0, 0], moved[1, 0] = moved[0, 0] + far, moved[1, 0] - far
    return np.asarray(cv2.getPerspectiveTransform(corners, moved.astype(np.float32)))


def _lens_map(camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    # From each pixel of the picture (with a margin to shake in) back to the bench.
    x, y = np.meshgrid(np.arange(-_MARGIN, WIDTH + _MARGIN), np.arange(-_MARGIN, HEIGHT + _MARGIN))
    nx, ny = (x - WIDTH / 2) / (WIDTH / 2), (y - HEIGHT / 2) / (WIDTH / 2)
    swell = 1 + camera.distortion * (nx**2 + ny**2)
    seen = np.stack([nx * swell * WIDTH / 2 + WIDTH / 2, ny * swell * WIDTH / 2 + HEIGHT / 2], -1)
    back = np.linalg.inv(camera.homography)
    flat = np.concatenate([seen.reshape(-1, 2), np.ones((seen.size // 2, 1))], 1) @ back.T
    bench = (flat[:, :2] / flat[:, 2:]).reshape(*x.shape, 2)
    # Clipped here, the bench goes on beyond its edge; as a border mode of remap it costs more.
    bench = np.clip(bench, 0, (WIDTH - 1, HEIGHT - 1)).astype(np.float32)
    return cv2.convertMaps(bench[..., 0], bench[..., 1], cv2.CV_16SC2)


def _light_map(camera: Camera) -> np.ndarray:
    x, y = np.meshgrid(np.linspace(-1, 1, WIDTH), np.linspace(-1, 1, HEIGHT))
    level = 1 + camera.light[0] * x + camera.light[1] * y
    level *= 1 - 0.12 * (x**2 + y**2)  # vignette
    colour = 1 + np.array(camera.tint) / 255
    shade = level[..., None] * colour / (level.max() * colour.max())
    return np.asarray((255 * shade).astype(np.uint8))
