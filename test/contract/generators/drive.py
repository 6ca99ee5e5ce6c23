"""Drives a machine with the client that openapi-python-client made. Arguments: the API's URL and a key."""

import sys
from io import BytesIO

from flotilla_client import AuthenticatedClient
from flotilla_client.api.health import get_health
from flotilla_client.api.images import upload_image
from flotilla_client.api.keys import create_key
from flotilla_client.api.machines import (
    create_machine,
    delete_machine,
    exec_in_machine,
    get_machine_console,
    list_machines,
    start_machine,
    wait_for_machine,
)
from flotilla_client.models import (
    CreateKey,
    CreateMachine,
    CreateMachineLabels,
    Exec,
    ExecResult,
    Health,
    Image,
    Machine,
    MachineList,
    MachineStatus,
    Scope,
)
from flotilla_client.types import File

url, key = sys.argv[1:]
client = AuthenticatedClient(base_url=url, token=key, raise_on_unexpected_status=True)


def expect(value, type_):
    assert isinstance(value, type_), value
    return value


assert expect(get_health.sync(client=client), Health).status == "healthy"
made = create_key.sync(client=client, body=CreateKey(name="py", scopes=[Scope.VALUE_3]))
client = AuthenticatedClient(base_url=url, token=made.key, raise_on_unexpected_status=True)

labels = CreateMachineLabels.from_dict({"made-by": "python"})
body = CreateMachine(name="generated-py", vcpu_count=1, mem_size_mib=128, image="busybox", labels=labels)
machine = expect(create_machine.sync(client=client, body=body), Machine)
expect(start_machine.sync(machine.id, client=client, idempotent=True), Machine)
waited = wait_for_machine.sync(machine.id, client=client, status=MachineStatus.RUNNING, timeout=5)
assert expect(waited, Machine).status == MachineStatus.RUNNING

command = Exec(command=["uname", "-r"], timeout=30)
result = expect(exec_in_machine.sync(machine.id, client=client, body=command), ExecResult)
assert result.exit_code == 0, result
assert isinstance(get_machine_console.sync(machine.id, client=client, lines=5, follow=False), str)

page = expect(list_machines.sync(client=client, label=["made-by=python"], limit=10), MachineList)
assert [each.id for each in page.machines] == [machine.id]
assert delete_machine.sync_detailed(machine.id, client=client, force=True).status_code == 204

archive = File(payload=BytesIO(b"an archive"))
expect(upload_image.sync("generated-py", client=client, body=archive, min_memory_mib=64), Image)
print(result.stdout, end="")
