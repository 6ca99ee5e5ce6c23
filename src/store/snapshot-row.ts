/** Converts a snapshot to a row and back, validating in both directions. */
import { z } from 'zod';
import { type Snapshot, snapshotStates } from '../core/snapshots/snapshot.ts';
import {
  decodeBoolean,
  decodeJson,
  encodeBoolean,
  encodeJson,
  encodeTime,
  type SnapshotTable,
} from './schema.ts';
import { decodeSpec, encodeSpec, spec } from './spec-row.ts';
import { validate } from './validate.ts';

const snapshot: z.ZodType<Snapshot> = z.strictObject({
  id: z.string().min(1),
  hostId: z.string().min(1),
  tenant: z.string().min(1),
  name: z.string().min(1),
  state: z.enum(snapshotStates),
  machineId: z.string().min(1),
  parentId: z.string().min(1).nullable(),
  hasMemory: z.boolean(),
  spec,
  imageDigest: z.string().min(1),
  labels: z.record(z.string(), z.string()),
  sizeBytes: z.int().min(0).nullable(),
  createdAt: z.string(),
  updatedAt: z.string(),
});

/** Raises InvariantError when the snapshot is malformed. */
export function encodeSnapshot(value: Snapshot): SnapshotTable {
  const checked = check(value);
  return {
    id: checked.id,
    host_id: checked.hostId,
    tenant: checked.tenant,
    name: checked.name,
    state: checked.state,
    machine_id: checked.machineId,
    parent_id: checked.parentId,
    has_memory: encodeBoolean(checked.hasMemory),
    image_digest: checked.imageDigest,
    ...encodeSpec(checked.spec),
    labels: encodeJson(checked.labels),
    size_bytes: checked.sizeBytes,
    created_at: encodeTime(checked.createdAt),
    updated_at: encodeTime(checked.updatedAt),
  };
}

/** Raises InvariantError when this program could not have written the row. */
export function decodeSnapshot(row: SnapshotTable): Snapshot {
  return check({
    id: row.id,
    hostId: row.host_id,
    tenant: row.tenant,
    name: row.name,
    state: row.state,
    machineId: row.machine_id,
    parentId: row.parent_id,
    hasMemory: decodeBoolean(row.has_memory),
    spec: decodeSpec(row, 'snapshots'),
    imageDigest: row.image_digest,
    labels: decodeJson(row.labels, 'snapshots.labels'),
    sizeBytes: row.size_bytes === null ? null : Number(row.size_bytes),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  });
}

/** `value` may contain anything under the fields' names. */
function check(value: Readonly<Record<keyof Snapshot, unknown>>): Snapshot {
  return validate(snapshot, value, `snapshot ${String(value.id)}`);
}
