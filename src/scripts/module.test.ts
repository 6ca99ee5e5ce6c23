/** The committed WebAssembly module: that it is the recorded one, what it may reach, and that its sources make it. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const engineDir = fileURLToPath(new URL('../../script-engine/', import.meta.url));
const module = await readFile(join(engineDir, 'script-engine.wasm'));
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** Compiling every crate takes some minutes on a busy host. */
const buildMs = 15 * 60_000;

test('is the one whose hash is recorded, and smaller than 2 MB', async () => {
  const recorded = await readFile(join(engineDir, 'script-engine.wasm.sha256'), 'utf8');
  expect(recorded).toBe(`${sha256(module)}  script-engine.wasm\n`);
  expect(module.length).toBeLessThan(2_000_000);
});

test('imports nothing but its two functions of the host', async () => {
  const imports = WebAssembly.Module.imports(await WebAssembly.compile(module));
  expect(imports.map(({ module: from, name }) => `${from}.${name}`).sort()).toEqual([
    'host.out_of_memory',
    'host.print',
  ]);
});

test(
  'is what its sources make, bit for bit',
  async ({ skip }) => {
    const run = promisify(execFile);
    const path = `${join(homedir(), '.cargo/bin')}:${process.env.PATH ?? ''}`;
    const env = { ...process.env, PATH: path, RUSTUP_AUTO_INSTALL: '0' };
    const toolchain = await readFile(join(engineDir, 'rust-toolchain.toml'), 'utf8');
    const version = /channel = "(.*)"/.exec(toolchain)?.[1];
    const options = { cwd: engineDir, env };
    const found = await run('rustc', ['--version'], options).catch(() => null);
    skip(!found?.stdout.startsWith(`rustc ${version} `), `there is no rustc ${version}`);
    const target = ['--print', 'target-libdir', '--target', 'wasm32-unknown-unknown'];
    const libdir = (await run('rustc', target, options)).stdout.trim();
    const std = await run('sh', ['-c', 'ls "$1" | grep -c ^libstd', 'sh', libdir]).catch(() => null);
    skip(std === null, 'rustc cannot make WebAssembly: rustup target add wasm32-unknown-unknown');
    const fetch = ['fetch', '--locked', '--target', 'wasm32-unknown-unknown'];
    const fetched = await run('cargo', fetch, options).catch(() => null);
    skip(fetched === null, 'the crates cannot be downloaded');

    const directory = await mkdtemp(join(tmpdir(), 'flotilla-script-engine-'));
    try {
      const output = join(directory, 'made.wasm');
      // In the engine's own target directory, so that only the first run compiles the crates.
      await run(join(engineDir, 'build.sh'), [output], {
        ...{ ...options, timeout: buildMs, maxBuffer: 2 ** 24 },
      });
      expect(sha256(await readFile(output))).toBe(sha256(module));
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  },
  buildMs,
);
