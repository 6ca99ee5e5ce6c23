/**
 * The systemd service of the daemon. `flotilla setup --systemd` installs it; nothing starts it. Settings live in an
 * environment file of the operator's, which is made once and never overwritten.
 *
 *   /etc/systemd/system/flotilla.service   how to run `flotilla serve`; replaced by each set-up
 *   /etc/default/flotilla                  PORT, FLOTILLA_STATE_DIR, DATABASE_URL, …; 0600, it may hold a password
 */
import { join } from 'node:path';
import { AppError } from '../core/errors.ts';
import { exists, hasErrorCode, writeFileAtomic } from '../lib/files.ts';
import { run } from '../lib/process.ts';
import type { Environment } from './context.ts';

export interface ServiceOptions {
  /** The absolute path of the launcher: `<checkout>/flotilla`. */
  readonly launcher: string;
  /** Exit code of `serve` when another daemon runs already, which a restart would not fix. */
  readonly alreadyRunningExitCode: number;
  /** Initial values of the service's settings. */
  readonly env: Environment;
  /** For tests: the root of the host's files. */
  readonly root?: string;
}

export interface InstalledService {
  readonly unitPath: string;
  readonly settingsPath: string;
  /** Whether systemd was reloaded; it does not run in a container or chroot. */
  readonly isLoaded: boolean;
}

const systemctlTimeoutMs = 30_000;
/** The settings that the daemon reads from its environment; see `src/main/config.ts`. */
const hatchNames =
  'HTTP_ADDR|PROXY_ADDR|PROXY_BASE_DOMAIN|PROXY_WAKE_TIMEOUT|MAX_VMS_PER_USER|MAX_SNAPSHOTS_PER_VM|IDLE_TIMEOUT|DEFAULT_VCPU|DEFAULT_MEM_MIB|MAX_OVERLAY_SIZE_MIB|MAX_ROOTFS_SIZE_MIB|SSH_PORT_MIN|SSH_PORT_MAX|BETTER_AUTH_VERIFY_URL';
export const settingNames = new RegExp(
  `^(PORT|PROXY_(PORT|PREFIX|HOST_SUFFIX)|DATABASE_URL|DISABLE_AUTH|HATCH_(${hatchNames})|HYPERFLEET_FILE_(MAX_SIZE|TRANSFER_TIMEOUT)|FLOTILLA_(?!DEV$|URL$|KEY$|PROFILE$)[A-Z0-9_]+)$`,
);

/** Raises `unsupported` on a host without systemd, or for a user other than root. */
export async function installService({
  launcher,
  alreadyRunningExitCode,
  env,
  root = '/',
}: ServiceOptions): Promise<InstalledService> {
  const directory = join(root, 'etc/systemd/system');
  if (!(await exists(directory))) {
    throw new AppError('unsupported', 'this host has no systemd: /etc/systemd/system is missing', {
      hint: 'Run ./flotilla serve under the service manager that this host has.',
    });
  }
  const unitPath = join(directory, 'flotilla.service');
  const settingsPath = join(root, 'etc/default/flotilla');
  try {
    await writeFileAtomic(unitPath, serviceUnit({ launcher, alreadyRunningExitCode }), 0o644);
    if (!(await exists(settingsPath))) await writeFileAtomic(settingsPath, settings(env), 0o600);
  } catch (error) {
    if (!hasErrorCode(error, 'EACCES')) throw error;
    throw new AppError('unsupported', 'only root can install a service', {
      cause: error,
      hint: 'Run it with sudo.',
    });
  }
  const isLoaded = root === '/' && (await exists('/run/systemd/system'));
  if (isLoaded) await run('systemctl', ['daemon-reload'], { timeoutMs: systemctlTimeoutMs });
  return { unitPath, settingsPath, isLoaded };
}

/** The unit's text. Machines outlive the daemon, so systemd must end only the main process. */
export function serviceUnit({
  launcher,
  alreadyRunningExitCode,
}: Pick<ServiceOptions, 'launcher' | 'alreadyRunningExitCode'>): string {
  return `[Unit]
Description=Flotilla: microVMs on this machine
After=network-online.target
Wants=network-online.target

[Service]
Type=exec
EnvironmentFile=-/etc/default/flotilla
ExecStart=${quoted(launcher)} serve
# Machines outlive the daemon: systemd ends the daemon and nothing else.
KillMode=process
TimeoutStopSec=60
Restart=on-failure
RestartSec=2
RestartPreventExitStatus=${alreadyRunningExitCode}
LimitNOFILE=1048576
TasksMax=infinity
OOMScoreAdjust=-900

[Install]
WantedBy=multi-user.target
`;
}

/** The current settings as an environment file. */
export function settings(env: Environment): string {
  const lines = Object.entries(env)
    .filter(([name, value]) => settingNames.test(name) && value !== undefined && value !== '')
    .map(([name, value]) => `${name}=${fileValue(name, value ?? '')}`);
  const head = '# Settings of the Flotilla daemon; systemctl restart flotilla applies a change.';
  return `${[head, ...lines.sort()].join('\n')}\n`;
}

/**
 * systemd.service(5): `%` is special in command lines; a program's path cannot contain quotes or backslashes.
 */
function quoted(path: string): string {
  if (/[\p{Cc}"'\\]/u.test(path)) {
    throw new AppError(
      'invalid',
      'the path of this checkout holds a quote, a backslash or a control character',
      {
        hint: 'Move the checkout, then run ./flotilla setup --systemd again.',
      },
    );
  }
  return `"${path.replaceAll('%', '%%')}"`;
}

/** systemd.exec(5), EnvironmentFile: `"`, `\`, `$` and backquotes are escaped in double quotes. */
function fileValue(name: string, value: string): string {
  if (/[\r\n\0]/.test(value)) throw new AppError('invalid', `${name} holds a line break`);
  return `"${value.replaceAll(/["\\$`]/g, '\\$&')}"`;
}
