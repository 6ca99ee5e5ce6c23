/** Options of docker that have no counterpart here, and what to do instead. */

const instead: Readonly<Record<string, string>> = {
  '-d': 'flotilla create IMAGE --start makes a machine that stays; flotilla exec -d runs commands in it',
  '-v': 'machines share no directories with this host; flotilla images import makes an image of one',
};
const long: Readonly<Record<string, string>> = { '--detach': '-d', '--volume': '-v' };

/** The hint for an option that is not there; null when it is none of docker's. */
export function hintForOption(flag: string): string | null {
  return instead[long[flag] ?? flag] ?? null;
}
