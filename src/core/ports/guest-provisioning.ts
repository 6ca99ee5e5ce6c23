/** The port through which a guest carries out its machine's user data. */
import type { UserData } from '../user-data/user-data.ts';
import type { GuestTarget } from './guest.ts';

/** How user data ended. `message` says why it failed, in the guest's words, made safe to show. */
export type ProvisioningOutcome =
  | { readonly outcome: 'succeeded' }
  | { readonly outcome: 'failed'; readonly message: string };

export interface GuestProvisioning {
  /**
   * Makes the guest carry out user data once in the life of its machine, across restarts; resolves with the outcome.
   * When it was begun before, the call waits for it or gets the recorded outcome. May be repeated. Raises
   * `unsupported` (the agent is older), `conflict` (it is busy with another machine's), `invalid`, and `guest` or
   * `timeout` when the link is lost; the guest then goes on by itself.
   */
  provision(target: GuestTarget, userData: UserData, signal: AbortSignal): Promise<ProvisioningOutcome>;
  /**
   * Makes these lines those of root's `authorized_keys` that belong to the machine, which have a mark; other lines stay.
   * False, and nothing changed, when the agent is too old. Raises `guest` and `timeout`.
   */
  setSshKeys(target: GuestTarget, keys: readonly string[], signal: AbortSignal): Promise<boolean>;
}
