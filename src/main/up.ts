/**
 * `flotilla up`: from nothing to a command that ran inside a microVM. The first machine uses `busybox`, which
 * is built in a second, while `debian-12` is being built. Run again, it finds everything and only runs the
 * command.
 */
import { readFile } from 'node:fs/promises';
import type { Progress, StepProgress } from '../setup/progress.ts';
import { setupImage, setupPrerequisites } from '../setup/setup.ts';
import { StateLayout } from '../storage/layout.ts';
import { type Config, otherSettings } from './config.ts';
import { daemonEnvironment, findDaemon, type RunningDaemon, startDaemonProcess } from './daemon-process.ts';
import { firstMachine, runningMachine } from './first-machine.ts';
import { setupOptions } from './set-up.ts';
import { version } from './version.ts';

const firstCommand = ['sh', '-c', 'echo "hello from $(hostname), Linux $(uname -r)"'];

export async function up(config: Config, env: NodeJS.ProcessEnv): Promise<void> {
  const options = setupOptions(config, env);
  const { progress } = options;
  const isFirstTime =
    (await readFile(new StateLayout(config.stateDir).adminKeyFile).catch(() => null)) === null;

  await setupPrerequisites(options);
  await setupImage(options, 'busybox');
  const debian = setupImage(options, 'debian-12');
  // Awaited below; until then a failure must not be an unhandled rejection.
  debian.catch(() => undefined);

  const daemon = await inStep(progress, 'daemon', (step) => runningDaemon(config, env, step));
  const machine = await inStep(progress, `machine ${firstMachine.name}`, () => runningMachine(daemon.client));
  const output = await inStep(progress, 'command', () =>
    daemon.client.machines.exec(machine.id, { command: firstCommand }),
  );
  process.stdout.write(`\n$ ${firstCommand.join(' ')}\n${output.stdout}${output.stderr}\n`);
  await debian;
  await farewell(config, daemon, isFirstTime);
}

async function runningDaemon(
  config: Config,
  env: NodeJS.ProcessEnv,
  step: StepProgress,
): Promise<RunningDaemon> {
  const found = await findDaemon(config);
  if (found) noteOtherSettings(config, env);
  if (!found) return startDaemonProcess(config, { onWait: (text) => step.update(text) });
  if (found.health.version !== version) {
    process.stderr.write(
      `note: The running daemon is version ${found.health.version}, this checkout is ${version}\n` +
        'hint: ./flotilla down, then ./flotilla up, changes it; machines keep running\n',
    );
  }
  return found;
}

function noteOtherSettings(config: Config, env: NodeJS.ProcessEnv): void {
  const names = otherSettings(env, daemonEnvironment(config));
  if (names.length === 0) return;
  process.stderr.write(
    `note: The running daemon has other settings than this command: ${names.join(', ')}\n` +
      'hint: ./flotilla down, then ./flotilla up, applies them; machines keep running\n',
  );
}

async function farewell(config: Config, daemon: RunningDaemon, isFirstTime: boolean): Promise<void> {
  const { adminKeyFile } = new StateLayout(config.stateDir);
  const lines = [`API       ${daemon.url}`, `docs      ${daemon.url}/docs`];
  if (!config.isAuthDisabled) {
    const key = (await readFile(adminKeyFile, 'utf8')).trim();
    lines.push(keyLine(key, adminKeyFile, isFirstTime && process.stdout.isTTY));
  }
  lines.push(...nextCommands.map((command, index) => `${index === 0 ? 'next' : ''}`.padEnd(10) + command));
  process.stdout.write(`${lines.join('\n')}\n`);
}

const nextCommands = [
  "./flotilla run debian-12 python3 -c 'print(6 * 7)'",
  `./flotilla exec ${firstMachine.name} uname -a`,
  './flotilla ls',
] as const;

/** The key is printed only on a terminal; in a log it would be stored unprotected. */
export function keyLine(key: string, path: string, isShown: boolean): string {
  return isShown ? `key       ${key}   (also in ${path})` : `key       in ${path}`;
}

async function inStep<T>(
  progress: Progress,
  name: string,
  work: (step: StepProgress) => Promise<T>,
): Promise<T> {
  const step = progress.step(name);
  try {
    const result = await work(step);
    step.done();
    return result;
  } catch (error) {
    step.fail(error instanceof Error ? error.message : String(error));
    throw error;
  }
}
