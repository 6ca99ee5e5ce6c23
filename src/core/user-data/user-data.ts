/**
 * User data: what a new machine's guest does once, after its first start. Types and limits only; `parse.ts` reads
 * the text that users write, the guest agent carries it out.
 */

export interface UserData {
  /** The text as its user gave it; null when it was put together from parts. */
  readonly text: string | null;
  /** The guest's host name; null: the machine's name. */
  readonly hostname: string | null;
  /** For root. */
  readonly sshAuthorizedKeys: readonly string[];
  readonly users: readonly GuestUser[];
  readonly writeFiles: readonly GuestFile[];
  readonly packages: readonly string[];
  readonly runcmd: readonly GuestCommand[];
  /** Texts that begin with `#!`; run last. */
  readonly scripts: readonly string[];
}

export interface GuestUser {
  readonly name: string;
  /** The comment in /etc/passwd, usually the full name. */
  readonly gecos: string | null;
  /** Further groups; missing ones are created. */
  readonly groups: readonly string[];
  /** Rules for sudo, without the user's name. */
  readonly sudo: readonly string[];
  readonly shell: string | null;
  readonly home: string | null;
  readonly sshAuthorizedKeys: readonly string[];
}

export interface GuestFile {
  readonly path: string;
  /** Base64. */
  readonly content: string;
  /** `USER` or `USER:GROUP`. */
  readonly owner: string;
  /** Mode bits. */
  readonly permissions: number;
  readonly isAppended: boolean;
}

/** A line for `sh -c`, or a program and its arguments. */
export type GuestCommand = string | readonly string[];

/** Limit of the text, in bytes. The same as that of EC2 after base64, with some room. */
export const userDataBytesMax = 64 * 1024;

/** Limit of user data without its text, as JSON: files may be compressed, and several texts may be merged. */
export const userDataPartsBytesMax = 1024 * 1024;

/** User data made from parts instead of text, such as further SSH keys. */
export function userDataOf(parts: Partial<UserData>): UserData {
  return {
    text: null,
    hostname: null,
    sshAuthorizedKeys: [],
    users: [],
    writeFiles: [],
    packages: [],
    runcmd: [],
    scripts: [],
    ...parts,
  };
}

export const provisioningStates = ['pending', 'running', 'succeeded', 'failed'] as const;

/** How far a machine's guest is with its user data. */
export interface Provisioning {
  readonly state: (typeof provisioningStates)[number];
  /** Why it failed; otherwise null. Words of the guest, cleaned. */
  readonly message: string | null;
  /** When it got there; RFC 3339, UTC. */
  readonly at: string;
}
