/** Numbers of Linux signals, which are the same on all processors that guests run on. */
import { constants } from 'node:os';

/** What the C library calls RTMIN; signals 32 and 33 are its own. */
const realTimeMin = 34;
const signalMax = 64;

/** The number of a signal's name without `SIG`, as in `KILL` and `RTMIN+1`, or of a number in digits; null when there is none. */
export function signalNumber(name: string): number | null {
  const numbers: Readonly<Record<string, number>> = constants.signals;
  if (Object.hasOwn(numbers, `SIG${name}`)) return numbers[`SIG${name}`] ?? null;
  const [, base, digits] = /^(RTMIN\+|)(\d{1,2})$/.exec(name) ?? [];
  if (digits === undefined) return null;
  const number = Number(digits) + (base === '' ? 0 : realTimeMin);
  return number >= 1 && number <= signalMax ? number : null;
}

/** What shells make of a command that a signal ended: 128 + its number; 128 for a signal that Linux does not have. */
export function exitCodeOfSignal(name: string): number {
  return 128 + (signalNumber(name) ?? 0);
}
