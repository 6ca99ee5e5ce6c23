/**
 * Names of what a machine has in the host's network. Each is derived from the machine's id, so that the driver finds
 * whose it is by looking at the host.
 */
import { createHash } from 'node:crypto';
import { invariant } from '../lib/invariant.ts';

/** Names of interfaces have at most 15 bytes. */
const machinePattern = /^[a-z0-9]{1,13}$/;
const tapPattern = /^ft([a-z0-9]{1,13})$/;
const shaperPattern = /^fs([a-z0-9]{1,13})$/;

export function tapName(machineId: string): string {
  invariant(machinePattern.test(machineId), `a machine's id makes a name of an interface: ${machineId}`);
  return `ft${machineId}`;
}

/** The device through which what the guest sends is slowed down. */
export function shaperName(machineId: string): string {
  invariant(machinePattern.test(machineId), `a machine's id makes a name of an interface: ${machineId}`);
  return `fs${machineId}`;
}

const lanTapPattern = /^fx([a-z0-9]{1,13})$/;
const lanShaperPattern = /^fy([a-z0-9]{1,13})$/;

/** Of a machine on a bridge of the operator. No other prefix of ours: `fl` would also be that of `flotilla0`. */
export function lanTapName(machineId: string): string {
  invariant(machinePattern.test(machineId), `a machine's id makes a name of an interface: ${machineId}`);
  return `fx${machineId}`;
}

export function lanShaperName(machineId: string): string {
  invariant(machinePattern.test(machineId), `a machine's id makes a name of an interface: ${machineId}`);
  return `fy${machineId}`;
}

export function machineOfLanTap(name: string): string | null {
  return lanTapPattern.exec(name)?.[1] ?? null;
}

export function machineOfLanShaper(name: string): string | null {
  return lanShaperPattern.exec(name)?.[1] ?? null;
}

/** Null for an interface that is not a machine's. */
export function machineOfTap(name: string): string | null {
  return tapPattern.exec(name)?.[1] ?? null;
}

export function machineOfShaper(name: string): string | null {
  return shaperPattern.exec(name)?.[1] ?? null;
}

/** A locally administered unicast address, always the same for the same bridge. */
export function bridgeMac(bridge: string, owner: string): string {
  const digest = createHash('sha256').update(`${bridge}\0${owner}`).digest();
  return ['02', ...[...digest.subarray(0, 5)].map((byte) => byte.toString(16).padStart(2, '0'))].join(':');
}
