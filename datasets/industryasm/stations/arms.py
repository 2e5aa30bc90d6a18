"""Draws a worker's arms: sleeve, forearm, palm and jointed fingers, with the shadow they throw."""

from __future__ import annotations

import cv2
import numpy as np

from industryasm.stations.bench import FIXTURE, HEIGHT, Colour, Point
from industryasm.stations.motion import Hand, Side
from industryasm.stations.operators import Operator

_LINK = 122.0  # upper arm and forearm, pixels
_FINGERS = (-0.62, -0.22, 0.16, 0.52)  # spread of the open fingers, radians
_LENGTHS = (13.0, 15.5, 16.0, 13.5)


def draw_arm(picture: np.ndarray, operator: Operator, side: Side, hand: Hand) -> None:
    """Draw the arm of `hand` over `picture`, in place."""
    out = 1.0 if side == "right" else -1.0
    shoulder = (FIXTURE[0] + out * 62, HEIGHT + 52.0)
    elbow = _elbow(shoulder, hand.at, out)
    _draw_shadow(picture, elbow, hand.at)
    bare = operator.glove or operator.skin
    cv2.line(picture, _px(elbow), _px(hand.at), operator.skin, round(12 * operator.hand_size))
    cuff = _mix(elbow, hand.at, operator.sleeve_share)
    cv2.line(picture, _px(shoulder), _px(elbow), operator.sleeve, 25)
    cv2.line(picture, _px(elbow), _px(cuff), operator.sleeve, 18)
    along = np.array(hand.at) - np.array(elbow)
    _draw_hand(picture, hand, float(np.arctan2(along[1], along[0])), out, bare, operator.hand_size)


def _draw_hand(
    picture: np.ndarray, hand: Hand, heading: float, out: float, colour: Colour, size: float
) -> None:
    dark: Colour = (int(0.8 * colour[0]), int(0.8 * colour[1]), int(0.8 * colour[2]))
    palm = _ahead(hand.at, heading, 2 * size)
    axes = (round(10 * size), round(8 * size))
    cv2.ellipse(picture, _px(palm), axes, float(np.degrees(heading)), 0, 360, colour, -1)
    for spread, length in zip(_FINGERS, _LENGTHS, strict=True):
        turn = heading + spread * (1 - 0.55 * hand.curl)
        knuckle = _ahead(hand.at, heading + spread, 8 * size)
        middle = _ahead(knuckle, turn, 0.55 * length * size)
        tip = _ahead(middle, turn - spread * hand.curl, (0.5 - 0.35 * hand.curl) * length * size)
        cv2.line(picture, _px(knuckle), _px(middle), dark, 3)
        cv2.line(picture, _px(middle), _px(tip), colour, 3)
    root = _ahead(hand.at, heading - 1.1 * out, 8 * size)
    bend = heading - (0.85 - 0.7 * hand.curl) * out
    cv2.line(picture, _px(root), _px(_ahead(root, bend, 10 * size)), dark, 4)


def _draw_shadow(picture: np.ndarray, elbow: Point, hand: Point) -> None:
    # Only the rows and columns that the shadow can touch are darkened.
    x0, x1 = sorted((elbow[0], hand[0]))
    y0, y1 = sorted((elbow[1], hand[1]))
    left, right = max(int(x0) - 14, 0), min(int(x1) + 26, picture.shape[1])
    top, bottom = max(int(y0) - 14, 0), min(int(y1) + 28, picture.shape[0])
    if left >= right or top >= bottom:
        return
    mask = np.zeros((bottom - top, right - left, 3), np.uint8)
    start, end = (elbow[0] + 6 - left, elbow[1] + 8 - top), (hand[0] + 6 - left, hand[1] + 8 - top)
    cv2.line(mask, _px(start), _px(end), (34, 34, 34), 15)
    cv2.circle(mask, _px(end), 11, (34, 34, 34), -1)
    part = picture[top:bottom, left:right]
    cv2.subtract(part, mask, dst=part)


def _elbow(shoulder: Point, hand: Point, out: float) -> Point:
    # Two links of equal length, bent outwards; beyond reach the arm is straight.
    dx, dy = hand[0] - shoulder[0], hand[1] - shoulder[1]
    distance = max(float(np.hypot(dx, dy)), 1e-6)
    link = max(_LINK, distance / 2)
    bend = float(np.sqrt(max(link * link - distance * distance / 4, 0.0))) * 0.5
    middle = ((shoulder[0] + hand[0]) / 2, (shoulder[1] + hand[1]) / 2)
    return (middle[0] + out * bend * abs(dy) / distance, middle[1] + bend * dx / distance * out)


def _ahead(point: Point, heading: float, distance: float) -> Point:
    return (
        point[0] + distance * float(np.cos(heading)),
        point[1] + distance * float(np.sin(heading)),
    )


def _mix(a: Point, b: Point, share: float) -> Point:
    return (a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share)


def _px(point: Point) -> tuple[int, int]:
    return (round(point[0]), round(point[1]))
