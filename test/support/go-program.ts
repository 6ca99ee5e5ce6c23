/** Builds small Go programs that tests run in guests: static, and with nothing but Go's own library. */
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../../src/lib/process.ts';

const buildTimeoutMs = 300_000;
/** Go's archive unpacks to /usr/local/go, which is rarely on PATH. */
const go = existsSync('/usr/local/go/bin/go') ? '/usr/local/go/bin/go' : 'go';

/** The program of `test/support/NAME/main.go`. */
export async function buildGoProgram(name: string): Promise<Buffer> {
  const directory = await mkdtemp(join(tmpdir(), 'flotilla-go-'));
  try {
    const out = join(directory, name);
    await run(go, ['build', '-trimpath', '-ldflags=-s -w', '-o', out, 'main.go'], {
      cwd: join(import.meta.dirname, name),
      env: { ...process.env, CGO_ENABLED: '0', GO111MODULE: 'off' },
      timeoutMs: buildTimeoutMs,
    });
    return await readFile(out);
  } finally {
    await rm(directory, { recursive: true });
  }
}
