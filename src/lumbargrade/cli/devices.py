"""``lumbargrade devices``: where training may run, and which process holds what."""

import typer

from lumbargrade.cli.output import Json, print_result, print_table, short_time

devices_app = typer.Typer()


@devices_app.command("devices")
def devices_command(as_json: Json = False) -> None:
    """List the devices of this machine, and which training holds them."""
    from lumbargrade.training.jobs.devices import find_devices, read_leases

    leases = {lease.device: lease.model_dump(mode="json") for lease in read_leases()}
    names = dict.fromkeys([*(device.name for device in find_devices()), *leases])
    free = {"pid": None, "since": None, "work": ""}
    rows = [{"device": name, **leases.get(name, free)} for name in names]
    if as_json:
        print_result(rows, as_json, [])
        return
    table = [
        [row["device"], str(row["pid"]), short_time(row["since"]), row["work"]]
        if row["pid"]
        else [row["device"], "free"]
        for row in rows
    ]
    print_table(("device", "process", "since (UTC)", "fold"), table)
