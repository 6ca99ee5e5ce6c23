/** Values of options, checked before anything is sent. */
import { randomInt } from 'node:crypto';
import { InvalidArgumentError } from 'commander';
import type { IdlePolicy } from '../sdk/src/index.ts';

/** A parser for whole numbers from `min` to `max`. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max) {
      throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
    }
    return value;
  };
}

/** For an option that may be repeated: ports, also several with commas between. */
export function ports(text: string, before: readonly number[] = []): number[] {
  return [...before, ...text.split(',').map(wholeNumber(1, 65_535))];
}

/** A port of the host for SSH; `any`: a free one, `none`: no port. As the API says it. */
export function sshPort(text: string): number | null {
  if (text === 'any') return 0;
  return text === 'none' ? null : wholeNumber(1, 65_535)(text);
}

/** For an option that may be repeated: `KEY=VALUE`, the value may be empty or hold more equals signs. */
export function pairs(text: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('It must look like KEY=VALUE.');
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}

/** What a command's environment is to hold; null: the value that the variable has here. */
export type Variables = Readonly<Record<string, string | null>>;

/** For an option that may be repeated: `KEY=VALUE`, or `KEY` alone, so that a secret is in no list of processes. */
export function variables(text: string, before: Variables = {}): Variables {
  const at = text.indexOf('=');
  if (at === 0 || text === '') throw new InvalidArgumentError('It must look like KEY=VALUE, or KEY.');
  return { ...before, ...(at < 0 ? { [text]: null } : { [text.slice(0, at)]: text.slice(at + 1) }) };
}

/** A file of such variables, one a line; lines that are empty or begin with `#` are skipped. */
export function variablesOf(content: string): Variables {
  return content
    .split(/\r?\n/)
    .filter((line) => line.trim() !== '' && !line.startsWith('#'))
    .reduce<Variables>((before, line) => variables(line, before), {});
}

/** For an option that may be repeated. */
export function texts(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}

/** For an option that may be repeated: some of `words`, also several with commas between. */
export function someOf<Word extends string>(
  words: readonly Word[],
): (text: string, before?: readonly Word[]) => readonly Word[] {
  return (text, before = []) => {
    const given = text.split(',').map((part) => words.find((word) => word === part));
    const known = given.filter((word) => word !== undefined);
    if (known.length < given.length)
      throw new InvalidArgumentError(`Allowed choices are ${words.join(', ')}.`);
    return [...new Set([...before, ...known])];
  };
}

const year10000 = Date.UTC(10_000, 0);
const unitMs = { m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const;

/** A time in the future as RFC 3339 says it: from a duration such as `30d` or `12h`, or from such a time. */
export function futureTime(now: number): (text: string) => string {
  return (text) => {
    const [, count = '', unit = ''] = /^(\d+)([mhdw])$/.exec(text) ?? [];
    const isTime = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:\d\d)$/.test(text);
    const at = unit in unitMs ? now + Number(count) * unitMs[unit as keyof typeof unitMs] : Date.parse(text);
    if ((unit === '' && !isTime) || Number.isNaN(at)) {
      throw new InvalidArgumentError('It must look like 30d, 12h, 90m or 2030-01-31T12:00:00Z.');
    }
    if (at <= now) throw new InvalidArgumentError('It must be in the future.');
    if (at >= year10000) throw new InvalidArgumentError('It must be before the year 10000.');
    return new Date(at).toISOString();
  };
}

const idlePattern = /^(\d+)([smhd])(?::(pause|suspend|stop))?$/;
const idleUnits: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };

/** What happens to an unused machine, such as `10m` (pause), `1h:suspend` or `2h:stop`. */
export function idlePolicy(text: string): IdlePolicy {
  const [, count = '', unit = '', action] = idlePattern.exec(text) ?? [];
  const seconds = Number(count) * (idleUnits[unit] ?? 0);
  if (!Number.isSafeInteger(seconds) || seconds < 1) {
    throw new InvalidArgumentError('It must look like 10m, 90s, 30m:pause, 1h:suspend or 2h:stop.');
  }
  return { after_seconds: seconds, action: (action ?? 'pause') as NonNullable<IdlePolicy>['action'] };
}

/** `prefix-` and six random characters. */
export function randomName(prefix: string): string {
  const characters = Array.from({ length: 6 }, () => randomInt(36).toString(36));
  return `${prefix}-${characters.join('')}`;
}

/** The memory of a machine whose memory was not chosen, in MiB. */
export function memoryMibFor(image: string): number {
  return /^busybox(?![^:@])/.test(image) ? 128 : 512;
}

const sizeUnits: Readonly<Record<string, number>> = { m: 1, g: 1024, t: 1024 * 1024 };

/** A parser for sizes in MiB from `min` to `max`: `512`, `512m`, `2g`, `1.5GiB`. */
export function mebibytes(min: number, max: number): (text: string) => number {
  return (text) => {
    const [, count = '', unit = 'm'] = /^(\d+(?:\.\d+)?)(?:([mgt])(?:i?b)?)?$/i.exec(text) ?? [];
    const value = Number(count) * (sizeUnits[unit.toLowerCase()] ?? 1);
    if (count === '' || !Number.isSafeInteger(value)) {
      throw new InvalidArgumentError('It must be a size in whole MiB, such as 512, 512m or 2g.');
    }
    if (value < min || value > max) throw new InvalidArgumentError(`It must be from ${min} to ${max} MiB.`);
    return value;
  };
}

export const cpus = wholeNumber(1, 1024);
export const mebibytesOption = mebibytes(4, 1024 * 1024 * 1024);

const secondUnits = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 } as const;
/** The longest lifetime that the API takes: ten years. */
const lifetimeSecondsMax = 315_360_000;

/** A lifetime in seconds: `90s`, `30m`, `2h`, `7d`. */
export function lifetime(text: string): number {
  const [, count = '', unit = ''] = /^(\d+)([smhdw])$/.exec(text) ?? [];
  if (unit === '') throw new InvalidArgumentError('It must look like 90s, 30m, 2h or 7d.');
  const seconds = Number(count) * secondUnits[unit as keyof typeof secondUnits];
  if (seconds < 1 || seconds > lifetimeSecondsMax) {
    throw new InvalidArgumentError('It must be from 1s to 3650d.');
  }
  return seconds;
}
