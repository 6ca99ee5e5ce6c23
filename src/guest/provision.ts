/** The call `provision`; part 3 of `protocol.ts`. */
import { z } from 'zod';
import { AppError } from '../core/errors.ts';
import type { ProvisioningOutcome } from '../core/ports/guest-provisioning.ts';
import type { UserData } from '../core/user-data/user-data.ts';
import { deadline } from '../lib/abort.ts';
import { abortError, type CallOptions, openCall } from './calls.ts';
import { cleanWords, encodeLine, parseLine, readLine } from './lines.ts';
import type { YamuxSession } from './yamux/session.ts';

/** What the guest is told. Its host name is part of its identity, and already set. */
function encodePlan(userData: UserData): Buffer {
  const plan = {
    ssh_authorized_keys: userData.sshAuthorizedKeys,
    users: userData.users.map(({ sshAuthorizedKeys, gecos, shell, home, ...user }) => ({
      ...user,
      gecos: gecos ?? '',
      shell: shell ?? '',
      home: home ?? '',
      ssh_authorized_keys: sshAuthorizedKeys,
    })),
    write_files: userData.writeFiles.map(({ isAppended, ...file }) => ({ ...file, append: isAppended })),
    packages: userData.packages,
    commands: userData.runcmd.map((command) =>
      typeof command === 'string' ? ['/bin/sh', '-c', command] : command,
    ),
    scripts: userData.scripts,
  };
  return Buffer.from(JSON.stringify(plan));
}

const outcomeSchema = z.discriminatedUnion('outcome', [
  z.object({ outcome: z.literal('succeeded') }),
  z.object({ outcome: z.literal('failed'), message: z.string() }),
]);

export interface ProvisionOptions extends CallOptions {
  /** Limit from the answer to the outcome. */
  readonly provisionMs: number;
}

/** Resolves when the guest has carried out the user data of `instance`, now or earlier. */
export async function callProvision(
  session: YamuxSession,
  instance: string,
  userData: UserData,
  options: ProvisionOptions,
): Promise<ProvisioningOutcome> {
  const plan = encodePlan(userData);
  const line = encodeLine({ call: 'provision', instance, plan_bytes: plan.length });
  const { stream, rest } = await openCall(session, 'provision', Buffer.concat([line, plan]), options);
  const limit = deadline(
    options.provisionMs,
    () => new AppError('timeout', `the guest did not carry out its user data in ${options.provisionMs} ms`),
    options.signal,
  );
  const onAbort = () => stream.reset(abortError(limit.signal, 'provision'));
  if (limit.signal.aborted) onAbort();
  limit.signal.addEventListener('abort', onAbort, { once: true });
  let received: Buffer | null = rest.length > 0 ? rest : null;
  const source = {
    async read() {
      const chunk = received ?? (await stream.read());
      received = null;
      return chunk;
    },
  };
  try {
    const outcome = parseOutcome((await readLine(source)).line);
    stream.close(performance.now());
    return outcome;
  } catch (error) {
    stream.reset(new AppError('guest', 'provision failed', { cause: error }));
    throw error;
  } finally {
    limit.signal.removeEventListener('abort', onAbort);
    limit.clear();
  }
}

function parseOutcome(line: Buffer): ProvisioningOutcome {
  const parsed = outcomeSchema.safeParse(parseLine(line));
  if (!parsed.success) throw new AppError('guest', 'the outcome that the guest sent is malformed');
  if (parsed.data.outcome === 'succeeded') return parsed.data;
  return { outcome: 'failed', message: cleanWords(parsed.data.message) || 'the guest gave no reason' };
}
