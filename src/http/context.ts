/** The data of every request, and the dependencies of the dialects. */
import type { HttpBindings } from '@hono/node-server';
import type { ImageService } from '../core/images/service.ts';
import type { Caller, KeyVerifier } from '../core/keys/caller.ts';
import type { KeyService } from '../core/keys/service.ts';
import type { MachineService } from '../core/machines/service.ts';
import type { OperationService } from '../core/operations/service.ts';
import type { Disks } from '../core/ports/disks.ts';
import type { Images } from '../core/ports/images.ts';
import type { Logger } from '../lib/log.ts';
import type { Connection } from './connection.ts';
import type { Session } from './session.ts';

export interface HttpEnv {
  /** `isHead`: a HEAD request, which is served as a GET without sending the body. */
  Bindings: HttpBindings & { readonly connection: Connection; readonly isHead: boolean };
  Variables: {
    requestId: string;
    session: Session;
    /** Set by the gate of a route that requires a key. */
    caller: Caller;
  };
}

export interface HttpDeps {
  readonly machines: MachineService;
  readonly operations: OperationService;
  readonly images: Images;
  readonly imageService: ImageService;
  readonly disks: Disks;
  readonly keys: KeyVerifier;
  /** Makes and revokes keys; `keys` verifies them. */
  readonly apiKeys: KeyService;
  readonly log: Logger;
  readonly version: string;
  /**
   * Whether a request may name this host (without port) while authentication is off; null: authentication is
   * on.
   */
  readonly isHostName: ((name: string) => boolean) | null;
  /** Origins whose pages may call the API from a browser. */
  readonly corsOrigins: ReadonlySet<string>;
  /** For tests: a lower limit than the routes'. */
  readonly bodyBytesMax?: number;
  readonly bodyDeadlineMs?: number;
}
