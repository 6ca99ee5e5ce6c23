/** `ssh`: OpenSSH's client in a machine, with a certificate of five minutes instead of a password. */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { Command } from 'commander';
import type { Context } from '../context.ts';
import { resolved } from '../resolve.ts';
import { makeCredential, missingOpenSsh } from '../ssh/credential.ts';
import { gatewayHost } from '../ssh/place.ts';

interface SshOptions {
  readonly forward: readonly string[];
  readonly tty?: true;
}

export function define(context: Context): Command {
  return new Command('ssh')
    .description(
      'Open a shell in a machine with OpenSSH’s client, or run a command there. A machine that sleeps is woken.\n' +
        'The daemon certifies a key that is made for this connection, so nothing is typed and nothing is kept.\n' +
        'The connection lasts an hour at most; scp, sftp, rsync and editors take what ssh-config prints.',
    )
    .argument('<machine>', 'id or name')
    .argument('[command...]', 'what to run; default: a shell')
    .option('-L, --forward <forward>', 'forward a port, as ssh -L does; repeatable', collected, [])
    .option('-t, --tty', 'with a terminal, also for a command')
    .action((word: string, command: readonly string[], options: SshOptions) =>
      connect(context, word, withoutDashes(command), options),
    );
}

/** `ssh web -- uname -a` is `ssh web uname -a`, as with `exec`: ssh itself would send the dashes to the guest. */
export function withoutDashes(command: readonly string[]): readonly string[] {
  return command[0] === '--' ? command.slice(1) : command;
}

const secondsMax = 3600;

async function connect(
  context: Context,
  word: string,
  command: readonly string[],
  { forward, tty }: SshOptions,
): Promise<void> {
  const { client, config, signal } = context;
  await using credential = await makeCredential((publicKey) =>
    resolved(context, word, (id) =>
      client.sshKeys.certify(id, { public_key: publicKey, ttl_seconds: secondsMax }, { signal }),
    ),
  );
  const args = [
    ...credential.options,
    ...forward.flatMap((each) => ['-L', each]),
    ...(tty ? ['-t'] : []),
    '--',
    gatewayHost(config.url),
    ...command,
  ];
  // The terminal sends Ctrl-C to ssh as well, which passes it on.
  using _ = context.interrupts.firstTo(() => true);
  context.exitWith(await ended(args));
}

function ended(args: readonly string[]): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const child = spawn('ssh', [...args], { stdio: 'inherit' });
  child.on('error', (error: NodeJS.ErrnoException) =>
    reject(error.code === 'ENOENT' ? missingOpenSsh() : error),
  );
  child.on('exit', (code, name) => resolve(code ?? 128 + (name === null ? 0 : constants.signals[name])));
  return promise;
}

function collected(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}
