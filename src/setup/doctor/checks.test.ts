import { describe, expect, it } from 'vitest';
import { AppError } from '../../core/errors.ts';
import { StateLayout } from '../../storage/layout.ts';
import { type ArtifactFacts, checkArtifacts } from './artifacts.ts';
import { checking, type Finding, fail, ok, warn } from './finding.ts';
import { checkHost, type HostFacts } from './host.ts';
import { checkLeftovers } from './leftovers.ts';
import { checkFile, checkOwner, type Expectation } from './permissions.ts';
import { makeReport, renderReport } from './report.ts';
import { machineExpectations, stateExpectations } from './state-files.ts';
import { type BlobFacts, checkBlob } from './state-images.ts';

const layout = new StateLayout('/state');
const levels = (findings: readonly Finding[]) => findings.map(({ level }) => level);
const troubles = (findings: readonly Finding[]) => findings.filter(({ level }) => level !== 'ok');

describe('the host', () => {
  const good: HostFacts = {
    system: { title: 'Debian GNU/Linux 12 (bookworm)', isProved: true },
    isRoot: true,
    jailTrouble: null,
    nodeVersion: '24.1.0',
    missingPackages: [],
    memory: { totalMib: 8000, availableMib: 4000 },
    state: { path: '/state', freeMib: 5000 },
    cache: { path: '/cache', freeMib: 5000 },
  };

  it('has nothing to say about a host where all is there', () => {
    expect(troubles(checkHost(good))).toEqual([]);
  });

  it('warns of what does not work without root, and without user namespaces', () => {
    const jailTrouble = 'namespaces cannot be made: unshare failed';
    expect(troubles(checkHost({ ...good, isRoot: false, jailTrouble }))).toMatchObject([
      { level: 'warn', subject: 'user', message: expect.stringContaining('reaches all that is yours') },
      { level: 'warn', subject: 'imports', message: expect.stringContaining(jailTrouble) },
    ]);
  });

  it('calls a missing package that machines run on an error, one of set-up’s a warning, and says how to get it', () => {
    const found = troubles(checkHost({ ...good, missingPackages: ['qemu-utils', 'mmdebstrap'] }));
    expect(found).toMatchObject([
      { level: 'error', subject: 'packages', hint: expect.stringContaining('apt-get install qemu-utils') },
      { level: 'warn', subject: 'packages', hint: expect.stringContaining('apt-get install mmdebstrap') },
    ]);
  });

  it('warns of a system that set-up does not know, of another user, and of no package database', () => {
    const facts = {
      ...good,
      system: { trouble: 'this is Plan 9', hint: 'use Debian' },
      isRoot: false,
      missingPackages: null,
    };
    expect(levels(troubles(checkHost(facts)))).toEqual(['warn', 'warn', 'warn']);
    expect(troubles(checkHost(facts))[0]).toMatchObject({ message: 'this is Plan 9', hint: 'use Debian' });
  });

  it('refuses another Node', () => {
    expect(troubles(checkHost({ ...good, nodeVersion: '22.9.0' }))).toMatchObject([
      { level: 'error', subject: 'node' },
    ]);
  });

  it('tells little space for machines from none', () => {
    const withFree = (freeMib: number) =>
      troubles(checkHost({ ...good, state: { path: '/state', freeMib } }));
    expect(levels(withFree(500))).toEqual(['warn']);
    expect(levels(withFree(10))).toEqual(['error']);
  });
});

describe('the cache', () => {
  const good: ArtifactFacts = {
    agent: { making: 'current', version: '1+abc' },
    shim: { making: 'current', version: 'abc' },
    builder: { making: 'current', version: 'abc' },
    kernel: {
      release: '6.1.0',
      isOwn: false,
      ageDays: 3,
      isNewest: true,
      candidate: 'linux-image-6.1.0 6.1.2-1',
    },
    kit: 'current',
    hasKitInState: true,
    images: [{ name: 'busybox', making: 'current', ageDays: 90 }],
  };

  it('is well when everything is current', () => {
    expect(troubles(checkArtifacts(good))).toEqual([]);
  });

  it('lacks nothing that stops machines while the state directory has a boot kit', () => {
    const empty: ArtifactFacts = {
      ...good,
      kernel: null,
      kit: 'absent',
      images: [{ name: 'busybox', making: 'absent', ageDays: null }],
    };
    expect(levels(troubles(checkArtifacts(empty)))).toEqual(['warn', 'warn', 'warn']);
    const nowhere = troubles(checkArtifacts({ ...empty, hasKitInState: false }));
    expect(nowhere.find(({ level }) => level === 'error')).toMatchObject({
      subject: 'boot kit',
      hint: expect.stringContaining('./flotilla setup'),
    });
  });

  it('warns of a kernel that apt has a newer one of, and of an old one when apt does not know', () => {
    const kernel = {
      release: '6.1.0',
      isOwn: false,
      ageDays: 3,
      isNewest: false,
      candidate: 'linux-image-6.1.9 6.1.9-1',
    };
    expect(troubles(checkArtifacts({ ...good, kernel }))).toMatchObject([
      {
        subject: 'kernel',
        message: '6.1.0, fetched 3 days ago; apt has linux-image-6.1.9 6.1.9-1',
        hint: expect.stringContaining('./flotilla setup --refresh'),
      },
    ]);
    const offline = { ...kernel, isNewest: null, candidate: null };
    expect(troubles(checkArtifacts({ ...good, kernel: offline }))).toEqual([]);
    const own = troubles(checkArtifacts({ ...good, kernel: { ...kernel, isOwn: true } }));
    expect(own).toMatchObject([{ hint: expect.stringContaining('./flotilla kernel build') }]);
    const [old] = troubles(checkArtifacts({ ...good, kernel: { ...offline, ageDays: 31 } }));
    expect(old).toMatchObject({ level: 'warn', message: expect.stringContaining('is not known') });
  });

  it('warns of a Debian image whose packages are older than a month', () => {
    const images = [{ name: 'debian-12', making: 'current' as const, ageDays: 31 }];
    expect(troubles(checkArtifacts({ ...good, images }))).toMatchObject([
      { level: 'warn', subject: 'image debian-12', hint: expect.stringContaining('--refresh') },
    ]);
  });

  it('says what is made from other sources', () => {
    const found = troubles(checkArtifacts({ ...good, kit: 'outdated' }));
    expect(found).toMatchObject([{ level: 'warn', subject: 'boot kit' }]);
  });
});

describe('modes and owners', () => {
  const root = { uid: 0, gid: 0 };
  const key: Expectation = { path: '/k', kind: 'file', mode: 0o600, owner: root, isSecret: true };
  const passage: Expectation = { path: '/d', kind: 'directory', mode: 0o711, owner: root, isSecret: false };
  const file = (mode: number, owner = root) => ({ kind: 'file' as const, mode, ...owner });
  const directory = (mode: number) => ({ kind: 'directory' as const, mode, ...root });

  it('accepts what is as it should be', () => {
    expect(checkFile(key, file(0o600))).toEqual([]);
    expect(checkFile(passage, directory(0o711))).toEqual([]);
  });

  it('calls a secret that others read an error, with the command that closes it', () => {
    expect(checkFile(key, file(0o640))).toMatchObject([{ level: 'error', hint: 'Run: chmod 0600 /k' }]);
  });

  it('calls a directory that VMMs cannot pass an error, and one that may be listed a warning', () => {
    expect(levels(checkFile(passage, directory(0o700)))).toEqual(['error']);
    expect(levels(checkFile(passage, directory(0o755)))).toEqual(['warn']);
    expect(levels(checkFile(passage, directory(0o777)))).toEqual(['error']);
  });

  it('asks for the sticky bit where a VMM may write beside the daemon’s records', () => {
    const users = { daemon: root, uidBase: 600_000 };
    const machine = {
      id: 'a',
      name: 'web',
      slot: 3,
      imageDigest: '',
      incarnation: 'boot1',
      isInTransit: false,
    };
    const runDir = machineExpectations(layout, users, machine).find(
      ({ path }) => path === '/state/run/boot1',
    );
    expect(runDir).toMatchObject({ owner: { uid: 0, gid: 600_003 } });
    if (!runDir) return;
    const found = { kind: 'directory' as const, uid: 0, gid: 600_003 };
    expect(checkFile(runDir, { ...found, mode: 0o1770 })).toEqual([]);
    expect(levels(checkFile(runDir, { ...found, mode: 0o770 }))).toEqual(['error']);
  });

  it('names both owners', () => {
    const found = checkFile(key, file(0o600, { uid: 5, gid: 6 }));
    expect(found).toMatchObject([{ level: 'error', hint: 'Run: chown 0:0 /k' }]);
    expect(found[0]?.message).toContain('5:6');
  });

  it('does not look into another user’s state directory, unless it is root', () => {
    expect(checkOwner('/state', 1000, 1000)).toBeNull();
    expect(checkOwner('/state', 0, 1000)).toMatchObject({ level: 'error' });
    expect(checkOwner('/state', 1000, 0)).toMatchObject({ level: 'warn' });
  });

  it('does not judge modes of something that is no file', () => {
    expect(checkFile(key, { kind: 'other', mode: 0o777, ...root })).toHaveLength(1);
  });

  it('expects a disk to be its slot’s, and nothing of a machine that is just being made', () => {
    const machine = { id: 'a', name: 'web', slot: 3, imageDigest: '', incarnation: null, isInTransit: false };
    const users = { daemon: root, uidBase: 600_000 };
    expect(machineExpectations(layout, users, machine)).toContainEqual({
      path: '/state/disks/a/root.qcow2',
      kind: 'file',
      mode: 0o600,
      owner: { uid: 600_003, gid: 600_003 },
      isSecret: true,
    });
    expect(machineExpectations(layout, users, { ...machine, isInTransit: true })).toEqual([]);
  });

  it('minds passages only where VMMs have users of their own', () => {
    const paths = (uidBase: number | null) =>
      stateExpectations(layout, { daemon: root, uidBase }).map(({ path }) => path);
    expect(paths(600_000)).toContain('/state/run');
    expect(paths(null)).not.toContain('/state/run');
    expect(paths(null)).toContain('/state/admin.key');
  });
});

describe('images', () => {
  const digest = `sha256:${'a'.repeat(64)}`;
  const good: BlobFacts = {
    digest,
    path: layout.blob(digest),
    bytes: 1024,
    bytesRecorded: 1024,
    digestFound: null,
    isBuiltIn: true,
    nameInCache: null,
    names: ['busybox'],
    machines: ['web'],
  };

  it('are well when there and whole', () => {
    expect(checkBlob(good)).toEqual([]);
    expect(checkBlob({ ...good, digestFound: digest })).toEqual([]);
  });

  it('that a machine needs and that are gone are an error, with the way that is left', () => {
    const [lost] = checkBlob({ ...good, bytes: null, names: [] });
    expect(lost).toMatchObject({ level: 'error', hint: expect.stringContaining('backup') });
    expect(lost?.message).toContain('web');
    const [inCache] = checkBlob({ ...good, bytes: null, nameInCache: 'busybox' });
    expect(inCache?.hint).toContain('./flotilla up');
  });

  it('that nobody uses and that are gone are a warning', () => {
    expect(levels(checkBlob({ ...good, bytes: null, machines: [] }))).toEqual(['warn']);
  });

  it('of another size or content are an error', () => {
    expect(levels(checkBlob({ ...good, bytes: 1 }))).toEqual(['error']);
    expect(levels(checkBlob({ ...good, digestFound: `sha256:${'b'.repeat(64)}` }))).toEqual(['error']);
  });
});

describe('leftovers', () => {
  const young = { path: '/state/.tmp-a', ageMs: 1000, place: 'state' } as const;
  const old = { ...young, ageMs: 2 * 60 * 60_000 };

  it('may be work under way while a daemon runs', () => {
    expect(levels(checkLeftovers([young], true))).toEqual(['ok']);
    expect(levels(checkLeftovers([young], false))).toEqual(['warn']);
    expect(levels(checkLeftovers([old], true))).toEqual(['warn']);
  });

  it('of set-up count when they are old, whoever runs', () => {
    expect(levels(checkLeftovers([{ ...young, place: 'cache' }], false))).toEqual(['ok']);
    expect(levels(checkLeftovers([{ ...old, place: 'cache' }], false))).toEqual(['warn']);
  });
});

describe('the report', () => {
  const sections = {
    host: [ok('a', 'fine'), fail('b', 'broken', 'Mend it')],
    engines: [],
    daemon: [],
    state: [],
  };

  it('is well when nothing is an error, and shows errors first', () => {
    expect(makeReport({ ...sections, host: [warn('a', 'hm')] }).ok).toBe(true);
    const report = makeReport(sections);
    expect(report.ok).toBe(false);
    expect(levels(report.host)).toEqual(['error', 'ok']);
  });

  it('is plain text where there is no terminal, aligned, with hints below and without escape sequences', () => {
    const report = makeReport({ ...sections, state: [warn('long subject', '\x1b[31mred\x1b[0m')] });
    const text = renderReport(report, process.stdout);
    expect(text).not.toMatch(/\p{Cc}(?<!\n)/u);
    const lines = text.split('\n');
    const column = lines.find((line) => line.includes('broken'))?.indexOf('broken');
    expect(lines.find((line) => line.includes('fine'))?.indexOf('fine')).toBe(column);
    expect(lines.find((line) => line.includes('Mend it'))?.indexOf('→')).toBe(column);
    expect(text).toContain('1 error, 1 warning.');
  });

  it('turns a check that fails into a finding with its hint', async () => {
    const { signal } = new AbortController();
    const broken = async () => {
      throw new AppError('unavailable', 'no such thing', { hint: 'get one' });
    };
    expect(await checking('x', signal, broken)).toEqual([
      fail('x', 'it cannot be checked: no such thing', 'get one'),
    ]);
    const denied = async () => {
      throw Object.assign(new Error('EACCES'), { code: 'EACCES', path: '/secret' });
    };
    expect(await checking('x', signal, denied)).toMatchObject([
      { message: '/secret cannot be read by this user', hint: expect.stringContaining('root') },
    ]);
  });
});
