/** V8's garbage collector, which Node does not offer without a flag of the command line. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

type Collect = (options: {
  readonly type: 'minor' | 'major';
  readonly execution: 'sync';
  readonly flavor?: 'last-resort';
}) => void;

let collect: Collect | null = null;

/** Frees what the youngest objects hold that are not used any more; about a millisecond. */
export function collectYoung(): void {
  collector()({ type: 'minor', execution: 'sync' });
}

/** Frees all that is not used, and gives the memory back to the host. Stops this process for about 100 ms. */
export function releaseMemory(): void {
  collector()({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}

/** V8 offers its collector only to code that is compiled while the flag is set. */
function collector(): Collect {
  if (collect !== null) return collect;
  setFlagsFromString('--expose-gc');
  collect = runInNewContext('gc') as Collect;
  setFlagsFromString('--no-expose-gc');
  return collect;
}
