/** What a machine gets from the snapshot that it is made from. */
import { AppError } from '../errors.ts';
import type { CreateRequest } from '../machines/spec.ts';
import type { Snapshot } from './snapshot.ts';

/**
 * The request with the snapshot's values where it has none of its own. Raises `invalid` for what does not fit the snapshot: a
 * guest's memory knows its processors, its memory and its devices.
 */
export function applySnapshot(request: CreateRequest, snapshot: Snapshot): CreateRequest {
  const { spec } = snapshot;
  const { vcpuCount = spec.vcpuCount, memoryMib = spec.memoryMib, diskMib = spec.diskMib } = request;
  const mode =
    request.network?.mode ?? (request.network?.bridge === undefined ? spec.network.mode : 'bridge');
  if (request.image !== undefined && request.image !== spec.image && request.image !== spec.imageRef)
    throw unfit('image', spec.image);
  if (request.engine !== undefined && request.engine !== spec.engine) throw unfit('engine', spec.engine);
  if (diskMib < spec.diskMib) throw unfit('disk', `${spec.diskMib} MiB or more`);
  if (snapshot.hasMemory) {
    if (vcpuCount !== spec.vcpuCount) throw unfit('number of vCPUs', spec.vcpuCount);
    if (memoryMib !== spec.memoryMib) throw unfit('memory', `${spec.memoryMib} MiB`);
    if (diskMib !== spec.diskMib) throw unfit('disk', `${spec.diskMib} MiB`);
    if (mode !== spec.network.mode) throw unfit('kind of network', spec.network.mode);
  }
  return {
    ...request,
    vcpuCount,
    memoryMib,
    diskMib,
    image: spec.image,
    engine: spec.engine,
    exposedPorts: request.exposedPorts ?? spec.exposedPorts,
    env: request.env ?? spec.env,
    restart: request.restart ?? spec.restart,
    autoWake: request.autoWake ?? spec.autoWake,
    idle: request.idle === undefined ? spec.idle : request.idle,
    sshKeys: request.sshKeys ?? spec.sshKeys,
    // A new one, as long as that of the machine was.
    lifetimeSeconds: request.lifetimeSeconds ?? spec.lifetimeSeconds ?? undefined,
    onExpire: request.onExpire ?? spec.onExpire,
    lifetimeCounts: request.lifetimeCounts ?? spec.lifetimeCounts,
    network: {
      egress: spec.network.egress,
      ...(mode === 'bridge' ? { bridge: spec.network.lan?.bridge } : {}),
      ...request.network,
      mode,
    },
  };
}

function unfit(what: string, there: string | number): AppError {
  return new AppError('invalid', `the ${what} cannot differ from the snapshot's: ${there}`, {
    hint: 'Leave it out.',
  });
}
