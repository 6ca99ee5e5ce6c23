import type { Command } from 'commander';
import { expect, test } from 'vitest';
import { catalog } from './catalog.ts';
import { placesOf } from './completion/model.ts';
import { loadProgram } from './program.ts';
import { testContext } from './testing/test-context.ts';

/** Commands without --json. */
const withoutJson: Readonly<Record<string, string>> = {
  run: 'its output is the guest’s',
  exec: 'its output is the guest’s',
  attach: 'its output is the guest’s',
  'execs logs': 'its output is the guest’s',
  completion: 'its output is a script',
  cp: 'it prints nothing on stdout, or an archive',
  mcp: 'its output is messages of MCP',
  'port-forward': 'its lines are kubectl’s, and say when it listens',
  ssh: 'its output is the guest’s',
  'ssh-config': 'its output is for ~/.ssh/config',
  'profile set': 'it prints nothing on stdout',
  'profile rm': 'it prints nothing on stdout',
  'profile use': 'it prints nothing on stdout',
  'kernel build': 'it acts on this host and prints for people',
  'kernel use': 'it acts on this host and prints for people',
  'kernel rm': 'it acts on this host and prints for people',
  'routes revoke': 'it changes a secret that nobody sees',
  ...Object.fromEntries(
    catalog
      .filter(({ load, name }) => load === null && !['doctor', 'bench', 'kernel'].includes(name))
      .map(({ name }) => [name, 'it acts on this host and prints for people']),
  ),
};

function leavesOf(command: Command, path: readonly string[] = []): (readonly [string, Command])[] {
  if (command.commands.length === 0) return [[path.join(' '), command]];
  return command.commands.flatMap((child) => leavesOf(child, [...path, child.name()]));
}

test('every command has --json, or a reason not to', async () => {
  const leaves = leavesOf(await loadProgram(testContext().context));
  const without = leaves.filter(([, command]) => !command.options.some(({ long }) => long === '--json'));
  expect(without.map(([path]) => path).sort()).toEqual(Object.keys(withoutJson).sort());
});

test('every command explains itself and all its options', async () => {
  for (const [path, command] of leavesOf(await loadProgram(testContext().context))) {
    expect(command.description(), path).not.toBe('');
    for (const option of command.options.filter(({ hidden }) => !hidden)) {
      expect(option.description, `${path} ${option.flags}`).not.toBe('');
    }
  }
});

test('what completes commands knows every one of them', async () => {
  const program = await loadProgram(testContext().context);
  const paths = placesOf(program).map(({ path }) => path);
  for (const [path] of leavesOf(program)) expect(paths).toContain(path);
  for (const { name, aliases } of catalog) expect(paths).toEqual(expect.arrayContaining([name, ...aliases]));
});
