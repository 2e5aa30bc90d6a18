"""What can be imported and exported, and which module does it; each is imported when it is used."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from industryasm.formats.foreign import ForeignRecording
    from industryasm.repairs import Repairs


class FormatChoice(StrEnum):
    """The formats of annotation tools."""

    ms_tcn = "ms-tcn"
    elan = "elan"
    boris = "boris"
    label_studio = "label-studio"
    cvat = "cvat"
    csv = "csv"


class SourceChoice(StrEnum):
    """What can be imported: the formats of annotation tools and four public data sets."""

    ms_tcn = "ms-tcn"
    elan = "elan"
    boris = "boris"
    label_studio = "label-studio"
    cvat = "cvat"
    csv = "csv"
    captaincook4d = "captaincook4d"
    ikea_asm = "ikea-asm"
    assembly101 = "assembly101-mistakes"
    impact = "impact"


PUBLIC_SETS = (
    SourceChoice.captaincook4d,
    SourceChoice.ikea_asm,
    SourceChoice.assembly101,
    SourceChoice.impact,
)


def read_foreign(kind: FormatChoice, source: Path, repairs: Repairs) -> list[ForeignRecording]:
    """Read the files of one tool; repairs are counted."""
    from industryasm.formats.boris import read_boris
    from industryasm.formats.cvat import read_cvat
    from industryasm.formats.elan import read_elan
    from industryasm.formats.label_studio import read_label_studio
    from industryasm.formats.ms_tcn import read_ms_tcn
    from industryasm.formats.plain_csv import read_csv

    match kind:
        case FormatChoice.ms_tcn:
            return read_ms_tcn(source, repairs)
        case FormatChoice.elan:
            return read_elan(source, repairs)
        case FormatChoice.boris:
            return read_boris(source, repairs)
        case FormatChoice.label_studio:
            return read_label_studio(source, repairs)
        case FormatChoice.cvat:
            return read_cvat(source, repairs)
        case FormatChoice.csv:
            return read_csv(source, repairs)


def write_foreign(
    kind: FormatChoice,
    found: Sequence[ForeignRecording],
    target: Path,
    texts: dict[str, str],
    losses: Repairs,
) -> None:
    """Write files for one tool into `target`; what it cannot hold is counted in `losses`."""
    from industryasm.formats.boris import write_boris
    from industryasm.formats.cvat import write_cvat
    from industryasm.formats.elan import write_elan
    from industryasm.formats.label_studio import write_label_studio
    from industryasm.formats.ms_tcn import write_ms_tcn
    from industryasm.formats.plain_csv import write_csv

    match kind:
        case FormatChoice.ms_tcn:
            write_ms_tcn(found, target, texts, losses)
        case FormatChoice.elan:
            write_elan(found, target, losses)
        case FormatChoice.boris:
            write_boris(found, target, texts, losses)
        case FormatChoice.label_studio:
            write_label_studio(found, target, texts)
        case FormatChoice.cvat:
            write_cvat(found, target, texts, losses)
        case FormatChoice.csv:
            write_csv(found, target, losses)


def import_public_set(
    kind: SourceChoice, source: Path, target: Path, has_options: bool, repairs: Repairs
) -> None:
    """Import a published set as it lies; `has_options` refuses what only tools' files take."""
    from industryasm.fault import UserFault

    if has_options:
        raise UserFault(f"{kind.value}: a public set brings its own task; it takes no options")
    match kind:
        case SourceChoice.captaincook4d:
            from industryasm.sets.captaincook4d import import_set
        case SourceChoice.ikea_asm:
            from industryasm.sets.ikea_asm import import_set
        case SourceChoice.assembly101:
            from industryasm.sets.assembly101 import import_set
        case _:
            from industryasm.sets.impact import import_set
    import_set(source, target, repairs)
