/**
 * Every path Flotilla uses, in one place. Pure: makes names, touches nothing.
 *
 * state directory (0711: the VMMs' own users pass through it)
 *   daemon.pid · daemon.lock · daemon.url · admin.key · link.key · host-id · host-epoch · flotilla.db · reserve · daemon.log · daemon.log.1
 *   operator/api.sock            the API for the daemon's own user, in 0700
 *   images/blobs/<sha256>        root file systems, 0444, never changed
 *   images/names/<name>.json     name → digest, of shared images
 *   images/tenants/<tenant>/<name>.json   likewise, of a tenant's own
 *   images/.import-<id>/         an import under way, 0700
 *   boot/<sha256>/{kernel,initrd,kit.json}
 *   boot/current.json            which kit new starts use
 *   disks/<machine>/machine.json   what is recorded of the machine, again, 0600
 *   quarantine/<machine>.<time>/   disks of machines that nobody knows, until they are removed
 *   quarantine/ages.json           how long each was kept
 *   disks/<machine>/root.qcow2   owned by the machine's VMM user, 0600
 *   run/<incarnation>/           qmp.sock agent.sock console.log pid …, root's with the VMM's group, 1770
 *
 * cache directory (survives the state directory; may be shared by several)
 *   kernel/<version>/ · guest-agent/ · boot/ · images/<name>/{root.ext4,image.json} · packages/
 */
import { isAbsolute, join } from 'node:path';

/** A VMM passes through to its own disk, whose name it was given; it cannot list the directory. */
export const diskDirectoryMode = 0o711;

const idPattern = /^[a-z0-9]{1,32}$/;
const tenantPattern = /^[a-z0-9][a-z0-9-]{0,62}$/;
const digestPattern = /^[0-9a-f]{64}$/;
const imageNamePattern = /^[a-z0-9][a-z0-9._-]{0,126}$/;

/** AF_UNIX paths hold 107 bytes; the longest below the state directory is `/run/<12>/agent.sock` with 27. */
export const stateDirBytesMax = 80;

/** Whether a directory name below `disks` can be a machine's; others, like `lost+found`, are ignored. */
export function isMachineId(name: string): boolean {
  return idPattern.test(name);
}

function checked(value: string, pattern: RegExp, what: string): string {
  if (!pattern.test(value) || value.includes('..'))
    throw new Error(`not a ${what}: ${JSON.stringify(value)}`);
  return value;
}

export class StateLayout {
  readonly root: string;
  /** These two are stored, because every answer about a machine needs its disk's path. */
  readonly disks: string;
  readonly blobs: string;

  constructor(root: string) {
    if (!isAbsolute(root)) throw new Error(`state directory must be absolute: ${root}`);
    this.root = root;
    this.disks = join(root, 'disks');
    this.blobs = join(root, 'images', 'blobs');
  }

  get pidFile(): string {
    return join(this.root, 'daemon.pid');
  }
  /** Locked (flock) by the running daemon. */
  get lockFile(): string {
    return join(this.root, 'daemon.lock');
  }
  /** Contains the running daemon's URL, for the CLI. */
  get urlFile(): string {
    return join(this.root, 'daemon.url');
  }
  get logFile(): string {
    return join(this.root, 'daemon.log');
  }
  get adminKeyFile(): string {
    return join(this.root, 'admin.key');
  }
  /** Only the daemon's user can enter it: 0700. */
  get operatorDir(): string {
    return join(this.root, 'operator');
  }
  /** The operator's socket; whoever answers there is the daemon. */
  get operatorSocket(): string {
    return join(this.operatorDir, 'api.sock');
  }
  get linkKeyFile(): string {
    return join(this.root, 'link.key');
  }
  get hostIdFile(): string {
    return join(this.root, 'host-id');
  }
  /** The number of daemons so far, according to the database at the last claim. */
  get hostEpochFile(): string {
    return join(this.root, 'host-epoch');
  }
  /** The host's boot id when a daemon of an earlier version last started here. Read once, never written. */
  get bootIdFile(): string {
    return join(this.root, 'boot-id');
  }
  get database(): string {
    return join(this.root, 'flotilla.db');
  }
  /** Disk space reserved for the database. */
  get reserveFile(): string {
    return join(this.root, 'reserve');
  }
  get images(): string {
    return join(this.root, 'images');
  }
  get tenantImages(): string {
    return join(this.root, 'images', 'tenants');
  }
  get imageNames(): string {
    return join(this.root, 'images', 'names');
  }
  get boot(): string {
    return join(this.root, 'boot');
  }
  get currentBootKit(): string {
    return join(this.root, 'boot', 'current.json');
  }
  get quarantine(): string {
    return join(this.root, 'quarantine');
  }
  get quarantineAges(): string {
    return join(this.quarantine, 'ages.json');
  }
  get run(): string {
    return join(this.root, 'run');
  }

  /** `digest` is `sha256:…`. */
  blob(digest: string): string {
    return `${this.blobs}/${checked(digest.replace(/^sha256:/, ''), digestPattern, 'digest')}`;
  }
  /** The record of a tenant's image, or of a shared one (null). */
  imageName(name: string, tenant: string | null = null): string {
    const dir = tenant === null ? this.imageNames : this.imageNamesOf(tenant);
    return join(dir, `${checked(name, imageNamePattern, 'image name')}.json`);
  }
  imageNamesOf(tenant: string): string {
    return join(this.tenantImages, checked(tenant, tenantPattern, 'tenant'));
  }
  bootKit(digest: string): string {
    return join(this.boot, checked(digest.replace(/^sha256:/, ''), digestPattern, 'digest'));
  }
  diskDir(machineId: string): string {
    return `${this.disks}/${checked(machineId, idPattern, 'machine id')}`;
  }
  disk(machineId: string): string {
    return `${this.diskDir(machineId)}/root.qcow2`;
  }
  /** Mount point of each VMM's root, in its own namespace; always empty on the host. */
  get jailRoot(): string {
    return join(this.root, 'jail');
  }
  /** The daemon's own copies of programs. */
  get bin(): string {
    return join(this.root, 'bin');
  }
  machineRecord(machineId: string): string {
    return join(this.diskDir(machineId), 'machine.json');
  }
  runDir(incarnation: string): string {
    return join(this.run, checked(incarnation, idPattern, 'incarnation'));
  }
}

export class CacheLayout {
  readonly root: string;

  constructor(root: string) {
    if (!isAbsolute(root)) throw new Error(`cache directory must be absolute: ${root}`);
    this.root = root;
  }

  get lockFile(): string {
    return join(this.root, 'setup.lock');
  }
  get launchShim(): string {
    return join(this.root, 'launch-shim', 'launch-shim');
  }
  get imageBuilder(): string {
    return join(this.root, 'image-builder', 'image-builder');
  }
  get guestAgent(): string {
    return join(this.root, 'guest-agent', 'guest-agent');
  }
  get kernels(): string {
    return join(this.root, 'kernel');
  }
  /** The latest boot kit of set-up: `kernel`, `initrd`, `kit.json`. */
  get bootKit(): string {
    return join(this.root, 'boot');
  }
  get images(): string {
    return join(this.root, 'images');
  }
  /** `root.ext4` and `image.json` of one image. */
  image(name: string): string {
    return join(this.images, checked(name, imageNamePattern, 'image name'));
  }
}
