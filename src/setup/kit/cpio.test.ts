import { describe, expect, it } from 'vitest';
import { run } from '../../lib/process.ts';
import { type CpioEntry, writeCpio } from './cpio.ts';

const entries: readonly CpioEntry[] = [
  { kind: 'directory', path: 'dev', mode: 0o755 },
  { kind: 'character-device', path: 'dev/console', mode: 0o600, major: 5, minor: 1 },
  { kind: 'file', path: 'init', mode: 0o755, data: Buffer.from('12345') },
  { kind: 'file', path: 'empty', mode: 0o644, data: Buffer.alloc(0) },
  { kind: 'symlink', path: 'link', target: 'init' },
];

/** Parses newc according to its specification, independently of the writer. */
function parseCpio(archive: Buffer) {
  const found: { path: string; fields: readonly number[]; data: Buffer }[] = [];
  for (let at = 0; at < archive.length; ) {
    expect(archive.toString('latin1', at, at + 6)).toBe('070701');
    const fields = Array.from({ length: 13 }, (_, index) =>
      Number.parseInt(archive.toString('latin1', at + 6 + index * 8, at + 14 + index * 8), 16),
    );
    const nameBytes = fields[11] ?? 0;
    const path = archive.toString('utf8', at + 110, at + 110 + nameBytes - 1);
    const dataAt = Math.ceil((at + 110 + nameBytes) / 4) * 4;
    const data = archive.subarray(dataAt, dataAt + (fields[6] ?? 0));
    at = Math.ceil((dataAt + data.length) / 4) * 4;
    found.push({ path, fields, data });
  }
  return found;
}

describe('writeCpio', () => {
  it('writes names, modes, devices and content, and ends with the trailer', () => {
    const parsed = parseCpio(writeCpio(entries));
    expect(parsed.map((entry) => entry.path)).toEqual([
      'dev',
      'dev/console',
      'init',
      'empty',
      'link',
      'TRAILER!!!',
    ]);
    expect(parsed.map((entry) => entry.fields[1])).toEqual([
      0o040755, 0o020600, 0o100755, 0o100644, 0o120777, 0,
    ]);
    expect(parsed[1]?.fields.slice(9, 11)).toEqual([5, 1]);
    expect(parsed[2]?.data.toString()).toBe('12345');
    expect(parsed[4]?.data.toString()).toBe('init');
    for (const entry of parsed) expect(entry.fields.slice(2, 4)).toEqual([0, 0]);
  });

  it('gives each entry a unique inode number', () => {
    const inodes = parseCpio(writeCpio(entries)).map((entry) => entry.fields[0]);
    expect(new Set(inodes).size).toBe(inodes.length);
  });

  it('keeps the four-byte alignment for all lengths', () => {
    for (let length = 0; length < 9; length++) {
      const name = 'n'.repeat(length + 1);
      const data = Buffer.alloc(length, 7);
      const archive = writeCpio([{ kind: 'file', path: name, mode: 0o644, data }]);
      expect(archive.length % 4).toBe(0);
      expect(parseCpio(archive)[0]?.data.equals(data)).toBe(true);
    }
  });

  it('makes the same bytes from the same entries', () => {
    expect(writeCpio(entries).equals(writeCpio(entries))).toBe(true);
  });

  it('refuses absolute and empty paths', () => {
    expect(() => writeCpio([{ kind: 'directory', path: '/dev', mode: 0o755 }])).toThrow('relative');
    expect(() => writeCpio([{ kind: 'directory', path: '', mode: 0o755 }])).toThrow('relative');
  });

  it('is read by busybox cpio', async (test) => {
    const listing = run('busybox', ['cpio', '-t'], { stdin: writeCpio(entries), timeoutMs: 10_000 });
    const result = await listing.catch(() => null);
    if (!result) return test.skip('busybox with cpio is not installed');
    expect(result.stdout).toBe('dev\ndev/console\ninit\nempty\nlink\n');
  });
});
