/**
 * An environment: machines that are created, stopped, started and deleted together, and that end together when its
 * lifetime ends. Its id is its name, unique within the tenant. A machine names its environment; the environment does
 * not list its machines, so that the two can never disagree.
 */
import { AppError } from '../errors.ts';
import type { Subject } from '../operations/operation.ts';

export const environmentStates = ['active', 'stopped'] as const;
export type EnvironmentState = (typeof environmentStates)[number];

export interface Environment {
  readonly id: string;
  readonly tenant: string;
  /** The host whose daemon acts on it. */
  readonly hostId: string;
  /** A label for people; grants nothing. */
  readonly owner: string;
  readonly state: EnvironmentState;
  /** What the last action could not do, one sentence each. Empty when it did everything. */
  readonly warnings: readonly string[];
  /** When it is deleted with all its machines; null while it is stopped. */
  readonly expiresAt: string | null;
  /** The lifetime that is left, while it is stopped: its lifetime does not run then. */
  readonly remainingMs: number | null;
  /** RFC 3339, UTC. */
  readonly createdAt: string;
  readonly updatedAt: string;
}

/** The fields that change after it was created; absent ones stay. */
export type EnvironmentPatch = Partial<Pick<Environment, 'state' | 'warnings' | 'expiresAt' | 'remainingMs'>>;

export const environmentIdCharactersMax = 128;
export const environmentIdPattern = /^(?!\.)(?!.*\.\.)[A-Za-z0-9._-]+$/;

/** Raises `invalid`. `details.rule` names the broken rule, for dialects with texts of their own. */
export function checkEnvironmentId(id: string): void {
  const broken = (rule: string, message: string) => new AppError('invalid', message, { details: { rule } });
  if (id === '') throw broken('empty', 'id must not be empty');
  if (id.length > environmentIdCharactersMax)
    throw broken('length', `id must have at most ${environmentIdCharactersMax} characters`);
  if (!/^[A-Za-z0-9._-]*$/.test(id)) throw broken('characters', 'id must be letters, digits, ., _ and -');
  if (!environmentIdPattern.test(id))
    throw broken('dots', 'id must not start with a dot or have two dots in a row');
}

/** Example: `acme/ci-42` is environment ci-42 of tenant acme; neither contains a slash. */
export function environmentSubject({ tenant, id }: Pick<Environment, 'tenant' | 'id'>): Subject {
  return { kind: 'environment', id: `${tenant}/${id}` };
}

/** The environment's id in a subject made by `environmentSubject`. */
export function environmentIdOf(subject: Subject): string {
  return subject.id.slice(subject.id.indexOf('/') + 1);
}
