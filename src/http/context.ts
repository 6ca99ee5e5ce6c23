/** The data of every request, and the dependencies of the dialects. */
import type { HttpBindings } from '@hono/node-server';
import type { CommandService } from '../core/commands/service.ts';
import type { ConnectionService } from '../core/connections/service.ts';
import type { EnvironmentService } from '../core/environments/service.ts';
import type { FileService } from '../core/files/service.ts';
import type { HostService } from '../core/hosts/service.ts';
import type { ImageService } from '../core/images/service.ts';
import type { Caller, KeyVerifier } from '../core/keys/caller.ts';
import type { KeyService } from '../core/keys/service.ts';
import type { MachineService } from '../core/machines/service.ts';
import type { NetworkService } from '../core/network/service.ts';
import type { OperationService } from '../core/operations/service.ts';
import type { Disks } from '../core/ports/disks.ts';
import type { Images } from '../core/ports/images.ts';
import type { QuotaService } from '../core/quotas/service.ts';
import type { RouteService } from '../core/routes/service.ts';
import type { ScriptService } from '../core/scripts/service.ts';
import type { SnapshotService } from '../core/snapshots/service.ts';
import type { CertificateService } from '../core/ssh/certificate-service.ts';
import type { SshKeyService } from '../core/ssh/service.ts';
import type { TemplateService } from '../core/templates/service.ts';
import type { Logger } from '../lib/log.ts';
import type { Connection } from './connection.ts';
import type { SocketTimings } from './dialects/machines/execs/socket/exec-socket.ts';
import type { FileLimits } from './dialects/machines/files/transfer.ts';
import type { Rates } from './rates.ts';
import type { Session } from './session.ts';
import type { Upgrade } from './upgrade.ts';

export interface RequestBindings {
  readonly connection: Connection;
  /** A HEAD request, which is served as a GET without sending the body. */
  readonly isHead: boolean;
  /** For a request to go on as a WebSocket. */
  readonly upgrade: Upgrade | null;
}

export interface HttpEnv {
  Bindings: HttpBindings & RequestBindings;
  Variables: {
    requestId: string;
    session: Session;
    /** Set by the gate of a route that requires a key. */
    caller: Caller;
  };
}

export interface HttpDeps {
  readonly machines: MachineService;
  readonly environments: EnvironmentService;
  readonly files: FileService;
  readonly commands: CommandService;
  readonly connections: ConnectionService;
  readonly network: NetworkService;
  /** Of Hyperfleet's routes for files. */
  readonly fileLimits?: FileLimits;
  /** See HATCH_IDLE_TIMEOUT; null or absent: never. */
  readonly hatchIdleSeconds?: number | null;
  readonly hosts: HostService;
  readonly operations: OperationService;
  readonly quotas: QuotaService;
  readonly scripts: ScriptService;
  readonly templates: TemplateService;
  readonly snapshots: SnapshotService;
  readonly routes: RouteService;
  /** A subdomain's address at the reverse proxy; null when it has none. */
  readonly routeUrl: (subdomain: string) => string | null;
  readonly images: Images;
  readonly imageService: ImageService;
  readonly disks: Disks;
  readonly keys: KeyVerifier;
  /** Makes and revokes keys; `keys` verifies them. */
  readonly apiKeys: KeyService;
  readonly sshKeys: SshKeyService;
  readonly sshCertificates: CertificateService;
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
  readonly socketTimings?: SocketTimings;
  /** Default: all budgets are full. */
  readonly rates?: Rates;
}
