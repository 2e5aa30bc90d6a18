"""The words of IMPACT: its streams, its coarse steps, the states of its hands."""

from __future__ import annotations

import re

from industryasm.deviation import KnownKind

RATE_HZ = 30.0
HEADER = ("trial", "stream", "start_frame", "end_frame_exclusive", "label")
STEPS = "CAS"
TRACKS = {
    "FAS_L": "fine-left",
    "FAS_R": "fine-right",
    "PPR_L": "state-left",
    "PPR_R": "state-right",
}
HANDS = {"PPR_L": "left hand", "PPR_R": "right hand"}
STATES: dict[str, KnownKind | None] = {
    "NORMAL": None,
    "ANOMALY": "wrong_execution",
    "RECOVERY": "rework",
}
NOTHING = "NULL"
PUT_ON = ("ATTACH", "INSTALL", "INSERT", "SCREW_ON")
TAKE_OFF = ("DETACH", "REMOVE", "EXTRACT", "UNSCREW")
KNOWN_STEPS = (
    "START_ANGLE_GRINDER_ASSEMBLY",
    "UNSCREW_ANTI_VIBRATION_HANDLE",
    "STORE_ANTI_VIBRATION_HANDLE",
    "REMOVE_LOCKING_LEVER_ASSEMBLY",
    "STORE_LOCKING_LEVER_ASSEMBLY",
    "EXTRACT_BEARING_PLATE_ASSEMBLY",
    "STORE_BEARING_PLATE_ASSEMBLY",
    "DETACH_ADAPTER_PLATE",
    "STORE_ADAPTER_PLATE",
    "REMOVE_ROTOR_ASSEMBLY",
    "STORE_ROTOR_ASSEMBLY",
    "STORE_GEARBOX_HOUSING",
    "STORE_TOOL",
    "RETRIEVE_GEARBOX_HOUSING",
    "RETRIEVE_ROTOR_ASSEMBLY",
    "INSTALL_ROTOR_ASSEMBLY",
    "RETRIEVE_ADAPTER_PLATE",
    "ATTACH_ADAPTER_PLATE",
    "RETRIEVE_BEARING_PLATE_ASSEMBLY",
    "INSERT_BEARING_PLATE_ASSEMBLY",
    "RETRIEVE_LOCKING_LEVER_ASSEMBLY",
    "INSTALL_LOCKING_LEVER_ASSEMBLY",
    "RETRIEVE_ANTI_VIBRATION_HANDLE",
    "SCREW_ON_ANTI_VIBRATION_HANDLE",
    "FINISH_ANGLE_GRINDER_ASSEMBLY",
)
"""The vocabulary of both tasks, whichever trials are there, so that models fit other subsets."""
ASSEMBLY, DISASSEMBLY = "grinder-assembly", "grinder-disassembly"
MAX_LENGTH = 64  # of a label, as of our step ids

TRIAL = re.compile(r"\d{8}_\d{4}", re.ASCII)
LABEL = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")
