/** Values of options, checked before anything is sent. */
import { randomInt } from 'node:crypto';
import { InvalidArgumentError } from 'commander';

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

/** For an option that may be repeated: `KEY=VALUE`, the value may be empty or hold more equals signs. */
export function pairs(text: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('It must look like KEY=VALUE.');
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}

/** `prefix-` and six random characters. */
export function randomName(prefix: string): string {
  const characters = Array.from({ length: 6 }, () => randomInt(36).toString(36));
  return `${prefix}-${characters.join('')}`;
}

/** Memory for a machine nobody chose one for, in MiB. */
export function memoryMibFor(image: string): number {
  return /^busybox(?![^:@])/.test(image) ? 128 : 512;
}

export const vcpus = wholeNumber(1, 1024);
export const mebibytesOption = wholeNumber(4, 1024 * 1024 * 1024);
