/** Makes one copy: the source writes a tar stream, which the destination reads. */
import type { Context } from '../context.ts';
import { CliError } from '../errors.ts';
import { write } from '../output.ts';
import { isTerminal } from '../progress.ts';
import { Arrival, arrivalName } from './arrival.ts';
import { localDestination, localSource } from './local-side.ts';
import { packLocal, unpackLocal } from './local-tar.ts';
import { type MachineSource, machineDestination, machineSource } from './machine-side.ts';
import { Meter } from './meter.ts';
import { type Place, targetOf, usage } from './places.ts';

export interface CopyOptions {
  readonly archive?: true;
  readonly followLink?: true;
  readonly quiet?: true;
}

type MachinePlace = Extract<Place, { readonly kind: 'machine' }>;

const root = '0:0';

export async function copy(context: Context, from: Place, to: Place, options: CopyOptions): Promise<void> {
  if (from.kind === 'machine' && to.kind === 'machine') return between(context, from, to, options);
  if (from.kind === 'machine' && to.kind === 'local') return download(context, from, to.path, options);
  if (from.kind === 'machine') return toStdout(context, from, options);
  if (to.kind !== 'machine')
    throw usage(
      'neither operand names a machine',
      'MACHINE:PATH is a file in a machine, as in web:/etc/hosts',
    );
  if (from.kind === 'local') return upload(context, from.path, to, options);
  return fromStdin(context, to, options);
}

async function upload(context: Context, path: string, to: MachinePlace, options: CopyOptions): Promise<void> {
  const { archive: keepsOwners = false, followLink = false } = options;
  const source = await localSource(path, followLink);
  const destination = await machineDestination(context, to);
  const target = targetOf(source, destination);
  const packed = packLocal(source, target.name, { keepsOwners, env: context.env });
  try {
    await metered(context, options, source.bytes, packed.bytes, (content) =>
      unpack(context, destination.id, target.directory, content, keepsOwners),
    );
    for (const words of packed.warnings()) context.note(words);
  } finally {
    await packed.close();
  }
}

async function download(
  context: Context,
  from: MachinePlace,
  path: string,
  options: CopyOptions,
): Promise<void> {
  const { signal } = context;
  const { archive: keepsOwners = false, followLink = false } = options;
  const source = await machineSource(context, from, followLink);
  await using arrival = await Arrival.open(targetOf(source, await localDestination(path)));
  context.interrupts.setLastWords(`${arrival.directory} may be left behind; remove it`);
  const warnings = await metered(
    context,
    options,
    source.bytes,
    pack(context, source, arrivalName),
    (content) => unpackLocal(arrival.directory, content, { keepsOwners, signal, env: context.env }),
  );
  for (const words of warnings) context.note(words);
  const devices = keepsOwners ? 0 : await arrival.disarm();
  if (devices > 0) context.note(`${devices} files of devices were left out; -a copies them`);
  await arrival.settle(signal);
}

async function between(
  context: Context,
  from: MachinePlace,
  to: MachinePlace,
  options: CopyOptions,
): Promise<void> {
  const { archive: keepsOwners = false, followLink = false } = options;
  const source = await machineSource(context, from, followLink);
  const destination = await machineDestination(context, to);
  const { directory, name } = targetOf(source, destination);
  await metered(context, options, source.bytes, pack(context, source, name), (content) =>
    unpack(context, destination.id, directory, content, keepsOwners),
  );
}

async function toStdout(context: Context, from: MachinePlace, options: CopyOptions): Promise<void> {
  const { signal, streams } = context;
  if (isTerminal(streams.stdout))
    throw usage('an archive is not written to a terminal', 'redirect it: flotilla cp web:/etc - > etc.tar');
  const source = await machineSource(context, from, options.followLink ?? false);
  const name = source.isContent ? '.' : source.name;
  await metered(context, options, source.bytes, pack(context, source, name), async (content) => {
    for await (const piece of content) await write(streams.stdout, piece, signal);
  });
}

async function fromStdin(context: Context, to: MachinePlace, options: CopyOptions): Promise<void> {
  const { signal, streams } = context;
  if (isTerminal(streams.stdin))
    throw usage('an archive is not read from a terminal', 'give it one: flotilla cp - web:/srv < srv.tar');
  const { kind, path, id, words } = await machineDestination(context, to);
  if (kind === 'absent') throw new CliError(`there is no directory ${words}`, { hint: 'make it first' });
  if (kind === 'other') throw new CliError(`${words} is a file, not a directory`);
  const onAbort = () => streams.stdin.destroy(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await metered(context, options, null, streams.stdin as AsyncIterable<Uint8Array>, (content) =>
      unpack(context, id, path, content, options.archive ?? false),
    );
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** Does `work` with the content while the progress line says how much of it has passed. */
function metered<T>(
  context: Context,
  { quiet }: CopyOptions,
  bytes: number | null,
  content: AsyncIterable<Uint8Array>,
  work: (content: AsyncIterable<Uint8Array>) => Promise<T>,
): Promise<T> {
  const meter = new Meter('copying', bytes);
  const passed = meter.count(content);
  return quiet
    ? work(passed)
    : context.progress.during(
        () => meter.words(),
        () => work(passed),
      );
}

function pack(
  { patientClient, signal }: Context,
  { id, path }: MachineSource,
  name: string,
): AsyncIterable<Uint8Array> {
  return patientClient.files.pack(id, path, { name, signal });
}

async function unpack(
  { patientClient, signal }: Context,
  id: string,
  directory: string,
  content: AsyncIterable<Uint8Array>,
  keepsOwners: boolean,
): Promise<void> {
  await patientClient.files.unpack(id, directory, content, {
    signal,
    ...(keepsOwners ? {} : { owner: root }),
  });
}
