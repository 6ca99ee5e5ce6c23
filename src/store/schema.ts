/**
 * The tables as queries see them. Every column is text or integer, so that a row means the same in SQLite and
 * PostgreSQL: JSON is text, a boolean is 0 or 1, a time is RFC 3339 text of fixed width, which sorts by time.
 * Only the functions below convert these.
 */
import type { Generated } from 'kysely';
import { invariant } from '../lib/invariant.ts';

export interface Database {
  readonly machines: MachineTable;
  readonly environments: EnvironmentTable;
  readonly machine_labels: MachineLabelTable;
  readonly machine_ssh_keys: MachineSshKeyTable;
  readonly operations: OperationTable;
  readonly operation_subjects: OperationSubjectTable;
  readonly api_keys: KeyTable;
  readonly templates: TemplateTable;
  readonly snapshots: SnapshotTable;
  readonly routes: RouteTable;
  readonly quotas: QuotaTable;
  readonly ssh_keys: SshKeyTable;
  readonly hosts: HostTable;
  readonly allocations: AllocationTable;
  readonly allocation_cursors: AllocationCursorTable;
  readonly events: EventTable;
  readonly schema_migrations: MigrationTable;
}

export interface MachineTable {
  readonly id: string;
  readonly host_id: string;
  readonly tenant: string;
  /** Copy of the spec's name, for the unique index. */
  readonly name: string;
  readonly state: string;
  readonly desired: string;
  readonly operation_id: string | null;
  readonly incarnation: string | null;
  readonly boot_id: string | null;
  readonly slot: number;
  /** Copies of the spec's hardware, for sums. */
  readonly vcpu_count: number;
  readonly memory_mib: number;
  readonly disk_mib: number;
  readonly revision: number;
  /** The spec's image again, to be filtered by. */
  readonly image: string;
  /** Likewise. */
  readonly image_ref: string;
  readonly image_digest: string;
  readonly spec: string;
  /** The spec's user data, apart from it: lists read all specs. */
  readonly user_data: string | null;
  readonly provisioning: string | null;
  readonly saved_memory: string | null;
  readonly handle: string | null;
  readonly failure: string | null;
  readonly created_at: string;
  readonly updated_at: string;
  readonly started_at: string | null;
  readonly expires_at: string | null;
  readonly remaining_ms: number | null;
  readonly restart_at: string | null;
  readonly restart_count: number;
  readonly idle_at: string | null;
  readonly environment_id: string | null;
}

export interface EnvironmentTable {
  readonly tenant: string;
  readonly id: string;
  readonly host_id: string;
  readonly owner: string;
  readonly state: string;
  readonly warnings: string;
  readonly expires_at: string | null;
  readonly remaining_ms: number | null;
  readonly created_at: string;
  readonly updated_at: string;
}

/** The labels of machines' specs again, to be filtered by. Key and value are JSON: PostgreSQL's text holds no NUL. */
export interface MachineLabelTable {
  readonly machine_id: string;
  readonly key: string;
  readonly value: string;
}

/** The SSH keys of machines' specs again, by which clients of the gateway are found. */
export interface MachineSshKeyTable {
  readonly machine_id: string;
  readonly fingerprint: string;
}

export interface OperationTable {
  readonly id: string;
  readonly tenant: string;
  readonly kind: string;
  readonly subjects: string;
  readonly host_id: string;
  readonly epoch: number;
  readonly boot_id: string;
  readonly revision: number;
  readonly params: string;
  readonly state: string;
  readonly steps: string;
  readonly is_cancel_requested: number;
  readonly failure: string | null;
  readonly created_at: string;
  readonly updated_at: string;
}

/** The subjects of operations, for the unique index of open operations. */
export interface OperationSubjectTable {
  readonly operation_id: string;
  readonly kind: string;
  readonly subject_id: string;
  readonly is_open: number;
}

export interface HostTable {
  readonly id: string;
  readonly epoch: number;
  readonly claimed_at: string;
}

export interface AllocationTable {
  readonly host_id: string;
  readonly kind: string;
  readonly value: number;
  readonly owner_kind: string;
  readonly owner_id: string;
  readonly created_at: string;
}

export interface AllocationCursorTable {
  readonly host_id: string;
  readonly kind: string;
  readonly latest: number;
}

export interface EventTable {
  readonly seq: Generated<number | string>;
  /** The transaction id on PostgreSQL, 0 on SQLite. */
  readonly xid: Generated<number | string>;
  readonly type: string;
  readonly tenant: string;
  readonly subject_kind: string;
  readonly subject_id: string;
  readonly data: string;
  readonly at: string;
}

export interface KeyTable {
  readonly id: string;
  readonly name: string;
  readonly tenant: string;
  readonly prefix: string;
  readonly hash: string;
  readonly scopes: string;
  readonly created_at: string;
  readonly expires_at: string | null;
  readonly last_used_at: string | null;
  readonly revoked_at: string | null;
  readonly created_by: string | null;
  readonly tier: string | null;
}

/** The limits are bigint on PostgreSQL, which its driver returns as text. */
export interface QuotaTable {
  readonly tenant: string;
  readonly machines: number | string | null;
  readonly vcpus: number | string | null;
  readonly memory_mib: number | string | null;
  readonly disk_mib: number | string | null;
  readonly updated_at: string;
}

/** `description` and `user_data` are JSON texts: PostgreSQL's text holds no NUL. */
export interface TemplateTable {
  readonly id: string;
  readonly tenant: string;
  readonly name: string;
  readonly description: string;
  readonly image: string;
  readonly user_data: string | null;
  readonly vcpu_count: number;
  readonly memory_mib: number;
  readonly disk_mib: number | null;
  readonly created_at: string;
  readonly updated_at: string;
}

/** `spec` and `user_data` are those of the machine. The size is bigint on PostgreSQL, which its driver returns as text. */
export interface SnapshotTable {
  readonly id: string;
  readonly host_id: string;
  readonly tenant: string;
  readonly name: string;
  readonly state: string;
  readonly machine_id: string;
  readonly parent_id: string | null;
  readonly has_memory: number;
  readonly image_digest: string;
  readonly spec: string;
  readonly user_data: string | null;
  readonly labels: string;
  readonly size_bytes: number | string | null;
  readonly created_at: string;
  readonly updated_at: string;
}

export interface SshKeyTable {
  readonly id: string;
  readonly tenant: string;
  /** JSON: PostgreSQL's text holds no NUL. */
  readonly name: string;
  readonly public_key: string;
  readonly fingerprint: string;
  readonly created_by: string | null;
  readonly created_at: string;
}

export interface RouteTable {
  readonly id: string;
  readonly tenant: string;
  readonly machine_id: string;
  readonly subdomain: string;
  readonly target_port: number;
  readonly auto_wake: number;
  readonly secret: string | null;
  readonly created_at: string;
  readonly updated_at: string;
}

export interface MigrationTable {
  readonly version: number;
  readonly name: string;
}

/**
 * The columns of every unique index by its name, because PostgreSQL's errors name the index; SQLite's name
 * the columns.
 */
export const uniqueIndexes: Readonly<Record<string, readonly string[]>> = {
  machines_pkey: ['id'],
  machines_tenant_name: ['tenant', 'name'],
  environments_pkey: ['tenant', 'id'],
  machine_labels_pkey: ['machine_id', 'key'],
  machine_ssh_keys_pkey: ['machine_id', 'fingerprint'],
  operations_pkey: ['id'],
  operation_subjects_pkey: ['operation_id', 'kind', 'subject_id'],
  operation_subjects_one_open: ['kind', 'subject_id'],
  events_pkey: ['seq'],
  hosts_pkey: ['id'],
  allocations_pkey: ['host_id', 'kind', 'value'],
  allocation_cursors_pkey: ['host_id', 'kind'],
  api_keys_pkey: ['id'],
  templates_pkey: ['id'],
  templates_tenant_name: ['tenant', 'name'],
  snapshots_pkey: ['id'],
  snapshots_tenant_name: ['tenant', 'name'],
  routes_pkey: ['id'],
  routes_subdomain: ['subdomain'],
  ssh_keys_pkey: ['id'],
  ssh_keys_tenant_name: ['tenant', 'name'],
  ssh_keys_fingerprint_tenant: ['fingerprint', 'tenant'],
  quotas_pkey: ['tenant'],
  schema_migrations_pkey: ['version'],
};

/** Whether a row may contain the text: PostgreSQL refuses NUL even in a comparison. */
export function canHold(text: string): boolean {
  return !text.includes('\0');
}

/** Raises InvariantError for an invalid page; callers check user input before. */
export function checkPage({ limit, offset }: { readonly limit: number; readonly offset: number }): void {
  invariant(Number.isSafeInteger(limit) && limit >= 0, `not a limit: ${limit}`);
  invariant(Number.isSafeInteger(offset) && offset >= 0, `not an offset: ${offset}`);
}

export function encodeJson(value: unknown): string {
  const text = JSON.stringify(value);
  invariant(text !== undefined, 'a value that has no JSON was to be stored');
  return text;
}

export function encodeNullableJson(value: unknown): string | null {
  return value === null ? null : encodeJson(value);
}

/** Invalid JSON is a bug or damage: only this room writes these columns. */
export function decodeJson(text: string, column: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    invariant(false, `column ${column} holds no JSON`);
  }
}

export function decodeNullableJson(text: string | null, column: string): unknown {
  return text === null ? null : decodeJson(text, column);
}

export function encodeBoolean(value: boolean): number {
  return value ? 1 : 0;
}

export function decodeBoolean(value: number): boolean {
  invariant(value === 0 || value === 1, 'a boolean column holds neither 0 nor 1');
  return value === 1;
}

/** Normalises an RFC 3339 time to UTC with milliseconds: always 24 characters. */
export function encodeTime(value: string): string {
  const time = new Date(value);
  invariant(!Number.isNaN(time.getTime()), `not a time: ${value}`);
  return time.toISOString();
}

export function encodeNullableTime(value: string | null): string | null {
  return value === null ? null : encodeTime(value);
}
