/**
 * Runs Schemathesis, a third-party fuzzer, against the real server with fakes, from the served document.
 * `scripts/python-tool-for-tests.sh` installs it; without it the test is skipped.
 */
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { dialects } from '../../src/http/dialects.ts';
import { serveFake, startFake, testKey } from '../support/fake.ts';
import { repository, runCommand } from '../support/host.ts';
import { isQuick } from '../support/thoroughness.ts';

const home = join(repository, '.toolchain', 'schemathesis');
const program = join(home, 'bin', 'schemathesis');
const isInstalled = existsSync(join(home, 'installed'));

/**
 * Operations that may not answer within a deadline, or whose body Schemathesis cannot generate; and those of Hatch that
 * say by 502 or 503 what this host or the fake guest lacks, which counts as a server's error.
 */
const left: Readonly<Record<string, readonly string[]>> = {
  machines: ['waitForMachine', 'getMachineConsole', 'uploadImage'],
  hatch: ['connectVM', 'execVM', 'snapshotVM'],
};
/**
 * Without the checks that every request allowed by a schema must succeed, and that an unknown method must
 * give 405.
 */
const checks = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_headers_conformance',
  'response_schema_conformance',
  'negative_data_rejection',
  'ignored_auth',
  'use_after_free',
];

const documents = [...new Set(dialects.map(({ document }) => document.name))];

test.skipIf(!isInstalled).each(documents)(
  'Schemathesis finds nothing in %s',
  { timeout: 400_000 },
  async (name) => {
    // It writes files into its working directory.
    const cwd = await mkdtemp(join(tmpdir(), 'schemathesis-'));
    const fake = await startFake();
    fake.guest.onShutdown = ({ incarnation }) => fake.driver.machine(incarnation).powerOff();
    const { url, server } = await serveFake(fake);
    try {
      const { exitCode, stdout, stderr } = await runCommand(
        program,
        [
          ...['run', `${url}/docs/json?dialect=${name}`, '--header', `Authorization: Bearer ${testKey}`],
          ...['--phases', isQuick ? 'examples' : 'examples,coverage,fuzzing,stateful'],
          ...['--max-examples', name === 'machines' ? '10' : '5', '--seed', '1'],
          ...['--checks', checks.join(','), '--request-timeout', '20', '--suppress-health-check', 'all'],
          ...(left[name] ?? []).flatMap((id) => ['--exclude-operation-id', id]),
          ...['--generation-database', 'none', '--no-color'],
        ],
        { env: { ...process.env, NO_COLOR: '1' }, timeoutMs: 390_000, cwd },
      );
      expect(exitCode, `${stdout.toString()}\n${stderr}`).toBe(0);
      expect(stdout.toString()).toMatch(/\d+ generated, \d+ passed/);
    } finally {
      await server.close(0);
      await fake.close();
      await rm(cwd, { recursive: true });
    }
  },
);
