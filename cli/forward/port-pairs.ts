/** What `port-forward` is asked for: pairs of ports as kubectl writes them, and addresses to listen on. Pure. */
import { isIP } from 'node:net';
import { InvalidArgumentError } from 'commander';

export interface PortPair {
  /** The port on this host; 0: a free one. */
  readonly local: number;
  /** The port in the machine. */
  readonly remote: number;
}

const portMax = 65_535;
const addressesMax = 16;

/** For an argument that may be repeated: `8080:80`, `80` (the same port on both sides), `:80` or `0:80` (a free port here). */
export function portPairs(text: string, before: readonly PortPair[] = []): readonly PortPair[] {
  const [, local = '', colon = '', remote = ''] = /^(?:(\d{0,5})(:))?(\d{1,5})$/.exec(text) ?? [];
  const isFree = colon !== '' && local === '';
  const pair = { local: isFree ? 0 : Number(local || remote), remote: Number(remote) };
  if (remote === '' || pair.remote < 1 || pair.remote > portMax || pair.local > portMax) {
    throw new InvalidArgumentError('It must look like 80, 8080:80 or :80, with ports from 1 to 65535.');
  }
  if (pair.local !== 0 && before.some((other) => other.local === pair.local)) {
    throw new InvalidArgumentError(`The port ${pair.local} of this host is given twice.`);
  }
  return [...before, pair];
}

/** For an option that may be repeated: IP addresses, also several with commas between; `localhost` is both loopbacks. */
export function addresses(text: string, before: readonly string[] = []): readonly string[] {
  const given = text.split(',').map((part) => part.trim());
  if (!given.every((part) => part === 'localhost' || isIP(part) !== 0)) {
    throw new InvalidArgumentError('It must be localhost or an IP address of this host.');
  }
  const all = [...new Set([...before, ...given])];
  if (all.length > addressesMax) {
    throw new InvalidArgumentError(`There may be ${addressesMax} addresses at most.`);
  }
  return all;
}
