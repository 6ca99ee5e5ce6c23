/**
 * Runs Schemathesis, a third-party fuzzer, against the real server with fakes, from the served document.
 * `scripts/python-tool-for-tests.sh` installs it; without it the test is skipped.
 */
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { serveFake, startFake, testKey } from '../support/fake.ts';
import { repository, runCommand } from '../support/host.ts';

const home = join(repository, '.toolchain', 'schemathesis');
const program = join(home, 'bin', 'schemathesis');
const isInstalled = existsSync(join(home, 'installed'));

/** Operations that may not answer within a deadline, or whose body Schemathesis cannot generate. */
const left = ['waitForMachine', 'getMachineConsole', 'uploadImage'];
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

test.skipIf(!isInstalled)('Schemathesis finds nothing', { timeout: 400_000 }, async () => {
  // It writes files into its working directory.
  const cwd = await mkdtemp(join(tmpdir(), 'schemathesis-'));
  const fake = await startFake();
  const { url, server } = await serveFake(fake);
  try {
    const { exitCode, stdout, stderr } = await runCommand(
      program,
      [
        ...['run', `${url}/docs/json`, '--header', `Authorization: Bearer ${testKey}`],
        ...['--phases', 'examples,coverage,fuzzing,stateful', '--max-examples', '10', '--seed', '1'],
        ...['--checks', checks.join(','), '--request-timeout', '20', '--suppress-health-check', 'all'],
        ...left.flatMap((id) => ['--exclude-operation-id', id]),
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
});
