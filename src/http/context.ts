/** What every request carries, and what the dialects are given. */
import type { Caller, KeyVerifier } from '../core/keys/caller.ts';
import type { MachineService } from '../core/machines/service.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Disks } from '../core/ports/disks.ts';
import type { Images } from '../core/ports/images.ts';
import type { Logger } from '../lib/log.ts';

export interface HttpEnv {
  Variables: { requestId: string; caller: Caller };
}

export interface HttpDeps {
  readonly machines: MachineService;
  readonly images: Images;
  readonly disks: Disks;
  readonly keys: KeyVerifier;
  readonly clock: Clock;
  readonly log: Logger;
  readonly version: string;
  /** Host names (without port) a request may name while authentication is off; null: any. */
  readonly allowedHosts: ReadonlySet<string> | null;
}
