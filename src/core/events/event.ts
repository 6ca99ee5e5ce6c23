/** An event: one change of something that Flotilla keeps, recorded by the store together with the change. */
import type { Subject } from '../operations/operation.ts';

export const eventTypes = [
  'machine.created',
  'machine.state_changed',
  'machine.changed',
  'machine.deleted',
  'environment.created',
  'environment.changed',
  'environment.deleted',
  'operation.begun',
  'operation.undoing',
  'operation.ended',
  'key.created',
  'key.revoked',
  'template.created',
  'template.deleted',
  'snapshot.created',
  'snapshot.changed',
  'snapshot.deleted',
  'route.created',
  'route.changed',
  'route.deleted',
  'ssh_key.created',
  'ssh_key.deleted',
] as const;
export type EventType = (typeof eventTypes)[number];

export interface Event {
  readonly type: EventType;
  readonly tenant: string;
  readonly subject: EventSubject;
  /** Details of the change: the states before and after, the operation. Plain JSON, never a secret. */
  readonly data: Readonly<Record<string, unknown>>;
  /** RFC 3339, UTC. */
  readonly at: string;
}

export interface EventSubject {
  readonly kind: Subject['kind'] | 'operation' | 'key' | 'template' | 'route' | 'ssh_key';
  readonly id: string;
}

/** A position in the order of events. Opaque: only the store compares positions. */
export type EventPosition = string & { readonly __brand: 'EventPosition' };

export interface EventPage {
  readonly events: readonly Event[];
  readonly position: EventPosition;
}
