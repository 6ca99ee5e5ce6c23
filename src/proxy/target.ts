/**
 * Reads where a proxied request wants to go, from its Host header and its path. Pure. Hosts come first, because a
 * program in a guest may itself own paths that begin with the prefix.
 *
 * With the suffix `.flotilla.example`: `shop.flotilla.example` is the subdomain `shop`, and
 * `k3v9x2m1q8zt-8080.flotilla.example` is a subdomain of that name if there is one, else port 8080 of a machine.
 * `/proxy/k3v9x2m1q8zt/8080/a?b` is `/a?b` on port 8080 of it.
 */

export interface TargetRules {
  /** Of paths, such as `/proxy`; without a slash at the end. */
  readonly prefix: string;
  /** Of hosts, such as `.flotilla.example`, in lower case and with a dot first. Any of them. */
  readonly suffixes: readonly string[];
}

export interface MachinePort {
  readonly machineId: string;
  readonly port: number;
}

export interface HostTarget {
  /** The part of the host before the suffix. */
  readonly subdomain: string;
  /** What it means if no route has it. */
  readonly machine: MachinePort | null;
}

export interface PathTarget extends MachinePort {
  /** Path and query for the program in the guest. */
  readonly path: string;
}

const labelled = /^([a-z0-9]{12})-(\d{1,5})$/;
const label = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** Null when the host has none of the suffixes. `host` is the header, with or without a port. */
export function hostTarget(host: string, { suffixes }: TargetRules): HostTarget | null {
  const name = withoutPort(host).toLowerCase().replace(/\.$/, '');
  for (const suffix of suffixes) {
    if (!name.endsWith(suffix)) continue;
    const subdomain = name.slice(0, -suffix.length);
    if (!label.test(subdomain)) continue;
    const [, machineId, port] = labelled.exec(subdomain) ?? [];
    return { subdomain, machine: machineId === undefined ? null : machinePort(machineId, port) };
  }
  return null;
}

/** Null when the path is not one of the prefix's. `path` is the request's, with its query. */
export function pathTarget(path: string, { prefix }: TargetRules): PathTarget | null {
  if (!path.startsWith(`${prefix}/`)) return null;
  const [, id = '', port, rest = ''] = /^\/([^/?#]+)\/([^/?#]+)(.*)$/s.exec(path.slice(prefix.length)) ?? [];
  const machine = machinePort(id.toLowerCase().replace(/^vm[-_]/, ''), port);
  if (machine === null) return null;
  return { ...machine, path: rest.startsWith('/') ? rest : `/${rest}` };
}

function machinePort(machineId: string, text = ''): MachinePort | null {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return /^[a-z0-9]{12}$/.test(machineId) && port >= 1 && port <= 65_535 ? { machineId, port } : null;
}

function withoutPort(host: string): string {
  return host.replace(/:\d*$/, '');
}
