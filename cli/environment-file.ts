/**
 * The file of `env create -f`: an environment and its machines, in the manner of a compose file. Its JSON schema is in
 * `docs/env.schema.json`, for editors.
 *
 *     name: ci-42
 *     lifetime: 2h
 *     machines:
 *       web: { image: busybox, cpus: 1, memory: 256m, replicas: 2 }
 *
 * makes the machines `ci-42-web-1` and `ci-42-web-2`.
 */
import { InvalidArgumentError } from 'commander';
import { z } from 'zod';
import { type CreateEnvironment, restartPolicies } from '../sdk/src/index.ts';
import type { CliError } from './errors.ts';
import { lifetime, mebibytesOption, memoryMibFor } from './options.ts';
import { type Place, YamlFile } from './yaml-file.ts';

const replicasMax = 100;

const size = z
  .union([z.int().min(1), z.string()], 'must be a size such as 512m or 2g')
  .describe('In MiB, or with a unit: 512m, 2g.');
const texts = z.record(
  z.string(),
  z.union([z.string(), z.number(), z.boolean()], 'must be text, a number, true or false'),
);

const machine = z
  .strictObject({
    image: z.string().min(1).optional().describe('Default: the host’s.'),
    template: z.string().min(1).optional().describe('Gives the fields that are absent here.'),
    cpus: z.int().min(1).optional().describe('Virtual processors. Default: 1, or the template’s.'),
    memory: size.optional(),
    disk: size.optional(),
    env: texts.optional().describe('Environment variables of every command.'),
    labels: texts.optional(),
    ports: z.array(z.int().min(1).max(65_535)).optional(),
    restart: z.enum(restartPolicies).optional(),
    user_data: z.string().optional().describe('What its guest carries out after its first start.'),
    replicas: z.int().min(1).max(replicasMax).optional().describe('How many of them. Default: 1.'),
  })
  .describe('A machine, or several alike.');

export const environmentFile = z
  .strictObject({
    $schema: z.string().optional(),
    name: z.string().min(1).optional().describe('The environment’s id; the command line’s takes precedence.'),
    owner: z.string().optional().describe('A label for people.'),
    lifetime: z.string().optional().describe('From its creation to its deletion: 90s, 30m, 2h, 7d.'),
    machines: z
      .record(z.string().regex(/^[A-Za-z0-9._-]+$/, 'must be letters, digits, ., _ and -'), machine)
      .describe('By name.'),
  })
  .describe('An environment of Flotilla: flotilla env create -f env.yaml');
export type EnvironmentFile = z.infer<typeof environmentFile>;

/** The file's JSON schema. */
export function environmentSchema(): object {
  return { title: 'Flotilla environment', ...z.toJSONSchema(environmentFile, { io: 'input' }) };
}

/** Throws CliError for a file that cannot be read, is no YAML, or has a field that is not known. */
export function readEnvironmentFile(path: string): YamlFile<EnvironmentFile> {
  return YamlFile.read(path, environmentFile, (place) =>
    Object.keys(place.length === 0 ? environmentFile.shape : machine.shape).filter(
      (name) => !name.startsWith('$'),
    ),
  );
}

/** The name of the environment in a file, for commands about one that exists. Throws CliError. */
export function nameInFile(path: string): string {
  const source = readEnvironmentFile(path);
  const { name } = source.content;
  if (name === undefined)
    throw nameless(source, 'Write name: NAME, or name the environment instead of the file.');
  return name;
}

/** The request for the API. `name` and `lifetimeSeconds` are those of the command line. Throws CliError. */
export function toEnvironment(
  source: YamlFile<EnvironmentFile>,
  given: { readonly name?: string | undefined; readonly lifetimeSeconds?: number | undefined },
): CreateEnvironment {
  const file = source.content;
  const id = given.name ?? file.name;
  if (id === undefined) throw nameless(source, 'Write name: NAME, or add NAME to the command.');
  const seconds = given.lifetimeSeconds ?? valueAt(source, ['lifetime'], lifetime, file.lifetime);
  return {
    id,
    ...(file.owner === undefined ? {} : { owner: file.owner }),
    ...(seconds === undefined ? {} : { lifetime_seconds: seconds }),
    machines: Object.entries(file.machines).flatMap(([name, one]) =>
      toMachines(source, `${id}-${name}`, name, one),
    ),
  };
}

type MachineEntry = EnvironmentFile['machines'][string];

function toMachines(
  source: YamlFile<EnvironmentFile>,
  name: string,
  key: string,
  entry: MachineEntry,
): CreateEnvironment['machines'] {
  const { replicas } = entry;
  const names =
    replicas === undefined ? [name] : Array.from({ length: replicas }, (_, index) => `${name}-${index + 1}`);
  const sizeOf = (field: 'memory' | 'disk') =>
    valueAt(source, ['machines', key, field], mebibytesOption, entry[field]?.toString());
  const hasTemplate = entry.template !== undefined;
  const memory = sizeOf('memory') ?? (hasTemplate ? undefined : memoryMibFor(entry.image ?? ''));
  const cpus = entry.cpus ?? (hasTemplate ? undefined : 1);
  const disk = sizeOf('disk');
  return names.map((each) => ({
    name: each,
    ...(entry.image === undefined ? {} : { image: entry.image }),
    ...(entry.template === undefined ? {} : { template: entry.template }),
    ...(cpus === undefined ? {} : { vcpu_count: cpus }),
    ...(memory === undefined ? {} : { mem_size_mib: memory }),
    ...(disk === undefined ? {} : { disk_size_mib: disk }),
    ...(entry.env === undefined ? {} : { env: asTexts(entry.env) }),
    ...(entry.labels === undefined ? {} : { labels: asTexts(entry.labels) }),
    ...(entry.ports === undefined ? {} : { exposed_ports: entry.ports }),
    ...(entry.restart === undefined ? {} : { restart: entry.restart }),
    ...(entry.user_data === undefined ? {} : { user_data: entry.user_data }),
  }));
}

function asTexts(values: Readonly<Record<string, string | number | boolean>>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, String(value)]));
}

/** Parses a value as the option of the same kind is parsed. */
function valueAt<T>(
  source: YamlFile<EnvironmentFile>,
  place: Place,
  parse: (text: string) => T,
  text: string | undefined,
) {
  if (text === undefined) return undefined;
  try {
    return parse(text);
  } catch (error) {
    // What options are told begins a sentence.
    if (error instanceof InvalidArgumentError)
      throw source.refuse(place, error.message.replace(/^It |\.$/g, ''));
    throw error;
  }
}

function nameless(source: YamlFile<EnvironmentFile>, hint: string): CliError {
  return source.refuse([], 'the environment has no name', hint);
}
