/**
 * Every path Flotilla uses, in one place. Pure: makes names, touches nothing.
 *
 * state directory (0711: the VMMs' own users pass through it)
 *   daemon.pid · daemon.lock · daemon.url · admin.key · link.key · host-id · host-epoch · flotilla.db · reserve · daemon.log · daemon.log.1
 *   ssh/host_ed25519 · ssh/ca_ed25519   the SSH gateway's host key, and its authority's key, 0600 in 0700
 *   proxy/account.key · proxy/<name>.pem   certificates that the reverse proxy fetched, with their keys, 0600 in 0700
 *   operator/api.sock            the API for the daemon's own user, in 0700
 *   images/blobs/<sha256>        root file systems, 0444, never changed
 *   images/names/<name>.json     name → digest, of shared images; `/` and `:` of the name are `+` and `=`
 *   images/tenants/<tenant>/<name>.json   likewise, of a tenant's own
 *   images/.import-<id>/         an import under way, 0700
 *   boot/<sha256>/{kernel,initrd,kit.json}
 *   boot/current.json            which kit new starts use
 *   disks/<machine>/machine.json   what is recorded of the machine, again, 0600
 *   disks/<machine>/console.previous   what the machine printed in its previous boot, 0600
 *   disks/<machine>/memory/      a suspended machine's memory: state manifest.json saved.json, 0700
 *   snapshots/<id>/{disk.qcow2,memory/,snapshot.json}   0700, never changed
 *   quarantine/<machine>.<time>/   disks of machines that nobody knows, until they are removed
 *   quarantine/ages.json           how long each was kept
 *   disks/<machine>/root.qcow2   owned by the machine's VMM user, 0600
 *   run/<incarnation>/           qmp.sock agent.sock console.log console.times pid …, root's with the VMM's group, 1770
 *
 * cache directory (survives the state directory; may be shared by several)
 *   kernel/<version>/ · guest-agent/ · guest-sftp/ · boot/ · images/<name>/{root.ext4,image.json} · packages/
 */
import { isAbsolute, join } from 'node:path';
import { isImageName } from '../core/images/names.ts';

/** A VMM passes through to its own disk, whose name it was given; it cannot list the directory. */
export const diskDirectoryMode = 0o711;

const idPattern = /^[a-z0-9]{1,32}$/;
const tenantPattern = /^[a-z0-9][a-z0-9-]{0,62}$/;
const digestPattern = /^[0-9a-f]{64}$/;

/** AF_UNIX paths hold 107 bytes; the longest below the state directory is `/run/<12>/agent.sock` with 27. */
export const stateDirBytesMax = 80;

/** Whether a directory name can be an id; others, like `lost+found`, are ignored. */
export function isResourceId(name: string): boolean {
  return idPattern.test(name);
}

function checked(value: string, pattern: RegExp, what: string): string {
  if (!pattern.test(value) || value.includes('..'))
    throw new Error(`not a ${what}: ${JSON.stringify(value)}`);
  return value;
}

/**
 * An image's name as a file name: `ghcr.io/org/app:1` → `ghcr.io+org+app=1`. No name contains `+` or `=`, so
 * every name has a file name of its own, and none leads out of its directory.
 */
export function imageFileName(name: string): string {
  if (!isImageName(name)) throw new Error(`not an image name: ${JSON.stringify(name)}`);
  return name.replaceAll('/', '+').replaceAll(':', '=');
}

/** The reverse of `imageFileName`; null for a file that no image has. */
export function imageNameOf(fileName: string): string | null {
  const name = fileName.replaceAll('+', '/').replaceAll('=', ':');
  return isImageName(name) && imageFileName(name) === fileName ? name : null;
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
  /** Of certificates that the reverse proxy fetches. */
  get proxyCertificates(): string {
    return join(this.root, 'proxy');
  }
  /** Locked (flock) by the running daemon. */
  get lockFile(): string {
    return join(this.root, 'daemon.lock');
  }
  /** Contains the running daemon's URL, for the CLI. */
  get urlFile(): string {
    return join(this.root, 'daemon.url');
  }
  /** Contains the URL of its reverse proxy. */
  get proxyUrlFile(): string {
    return join(this.root, 'proxy.url');
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
  get sshDir(): string {
    return join(this.root, 'ssh');
  }
  /** The host key of the SSH gateway. */
  get sshHostKeyFile(): string {
    return join(this.sshDir, 'host_ed25519');
  }
  /** Signs the certificates that the gateway accepts. */
  get sshAuthorityKeyFile(): string {
    return join(this.sshDir, 'ca_ed25519');
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
    return join(dir, `${imageFileName(name)}.json`);
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
  previousConsole(machineId: string): string {
    return join(this.diskDir(machineId), 'console.previous');
  }
  /** Of a suspended machine; with `.new` while it is written, and `.old` while it is removed. */
  savedMemory(machineId: string): string {
    return join(this.diskDir(machineId), 'memory');
  }
  get snapshots(): string {
    return join(this.root, 'snapshots');
  }
  /** With `.new` while it is made, and `.old` while it is removed. */
  snapshot(id: string): string {
    return join(this.snapshots, checked(id, idPattern, 'snapshot id'));
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
  get guestSftp(): string {
    return join(this.root, 'guest-sftp', 'guest-sftp');
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
    return join(this.images, imageFileName(name));
  }
}
