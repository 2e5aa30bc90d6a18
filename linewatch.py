"""The one command `linewatch`: mounts each folder's sub-commands and imports nothing heavy."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dashboard import cli as dashboard_cli
from edge import calibration_cli, doctor_cli, learning
from edge import cli as edge_cli
from edge.answers import ask, reader
from edge.bench import cli as bench_cli
from edge.evaluation import cli as evaluation_cli
from edge.export import cli as export_cli
from industryasm import cli as industryasm_cli
from industryasm.fault import UserFault

if TYPE_CHECKING:
    from edge.deployment import Deployment

# Idle OpenMP threads must not spin beside other cameras' decoders; set before they start.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

app = typer.Typer(
    help="Watch manual assembly on cameras; say at once when a step is missed or wrong.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(dashboard_cli.demo)
app.command()(edge_cli.check)
app.command()(doctor_cli.doctor)
app.command()(edge_cli.monitor)
app.command()(industryasm_cli.tasks)
app.add_typer(industryasm_cli.data, name="data")
app.command()(learning.train)
app.command()(calibration_cli.calibrate)
app.command()(export_cli.export)
app.command()(evaluation_cli.predict)
app.add_typer(evaluation_cli.evaluate, name="evaluate")
app.add_typer(bench_cli.bench, name="bench")
app.command()(ask.train_answers)
app.command()(reader.train_reader)
app.command()(ask.ask)


@app.command()
def up(
    file: Annotated[Path, typer.Argument(help="Deployment file.")] = Path("deploy.yaml"),
    only: Annotated[
        str | None, typer.Option(help="Run one part here: hub, dashboard, stations or station:ID.")
    ] = None,
    fast: Annotated[
        bool, typer.Option(help="A station plays its recording as fast as it can, then ends.")
    ] = False,
) -> None:
    """Run what a deployment file names on this machine: hub, dashboard and stations."""
    from edge.deployment import load_deployment

    deployment = load_deployment(file)
    if only is None:
        from dashboard.processes import supervise

        sys.exit(supervise(file, fast=fast))
    if only == "hub":
        from dashboard.hub import run_hub

        run_hub(deployment.hub.endpoint, deployment.database.url, deployment.alerts)
    elif only == "dashboard":
        from dashboard.processes import serve_pages

        serve_pages(deployment)
    else:
        from edge.watch import run_stations

        run_stations(deployment, _station_ids(only, deployment), fast=fast)


def _station_ids(only: str, deployment: Deployment) -> list[str]:
    known = [station.id for station in deployment.stations]
    if only == "stations":
        return known
    kind, _, station_id = only.partition(":")
    if kind != "station" or station_id not in known:
        parts = ["hub", "dashboard", "stations", *(f"station:{name}" for name in known)]
        raise UserFault(f"--only {only}: there is no such part; there are {', '.join(parts)}")
    return [station_id]


def main() -> None:
    """Run the command line; what a person can mend is one line and exit status 2."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        app()
    except UserFault as fault:
        print(f"linewatch: {fault}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output went away (`| head`): nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (
        OSError
    ) as error:  # a folder where a file was meant, a full disk, a right that is missing
        if error.filename is None:
            raise
        print(f"linewatch: {error.filename}: {error.strerror}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
