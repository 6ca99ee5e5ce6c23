/** What a login name means: a machine, and optionally the user in its guest before it: `web`, `app+web`. */
export interface Login {
  /** Id or name. */
  readonly machine: string;
  /** Null: the guest's root. */
  readonly user: string | null;
  /** Whether a user that the guest does not have means root. */
  readonly isUserOptional: boolean;
}

/** No machine's name contains a plus sign. */
export function parseLogin(name: string): Login {
  const plus = name.lastIndexOf('+');
  if (plus <= 0) return { machine: name, user: null, isUserOptional: false };
  return { machine: name.slice(plus + 1), user: name.slice(0, plus), isUserOptional: false };
}

/** The name with which Hatch's clients log in; its images have such a user, others need not. */
const hatchUser = 'agent';

/** What it means at a port of one machine: the user in its guest. */
export function loginAt(machine: string, name: string): Login {
  return { machine, user: name === 'root' ? null : name, isUserOptional: name === hatchUser };
}

const loopback = /^(?:localhost|127(?:\.\d{1,3}){3}|::1|\[::1\]|0\.0\.0\.0|::)$/i;

/** Whether a host that a client wants to reach through the machine is the machine itself. */
export function isMachineItself(
  host: string,
  machine: { readonly id: string; readonly name: string },
): boolean {
  if (loopback.test(host)) return true;
  const plain = host.toLowerCase().replace(/\.flotilla\.internal\.?$/, '');
  return plain === machine.id || plain === machine.name.toLowerCase();
}
