/** Faults of guest link, engines and storage. */
import type { Mutation } from './mutation.ts';

const adoption = 'src/engines/qemu/adoption.test.ts';
const files = 'src/lib/files.test.ts';
const framesTest = 'src/guest/exec-frames.test.ts';

export const edgeMutations: readonly Mutation[] = [
  {
    fault: 'the guest agent compares only 8 bytes of the token',
    guarantee: 'G14',
    file: 'guest-agent/internal/link/preamble.go',
    from: 'subtle.ConstantTimeCompare(p[:TokenBytes], d.token)',
    to: 'subtle.ConstantTimeCompare(p[:8], d.token[:8])',
    caughtBy: { go: 'internal/link', test: 'TestATokenThatDiffersInAnyByteIsNotAnswered' },
  },
  {
    fault: 'an exec frame may be of any size',
    guarantee: 'G8',
    file: 'src/guest/frames.ts',
    from: 'if (this.#payloadLeft === 0 || this.#payloadLeft > framePayloadBytesMax)',
    to: 'if (this.#payloadLeft === 0)',
    caughtBy: { file: framesTest, test: 'a frame of type' },
  },
  {
    fault: 'a guest may send more than the window it was granted',
    guarantee: 'G14',
    file: 'src/guest/yamux/stream.ts',
    from: 'if (length > this.#receiveWindow) throw',
    to: 'if (length < 0) throw',
    caughtBy: { file: 'src/guest/yamux/session.test.ts', test: 'more than the window in' },
  },
  {
    fault: 'a record of another boot is believed',
    guarantee: 'G20',
    file: 'src/engines/qemu/driver.ts',
    from: 'record.bootId !== readBootId() || ',
    to: '',
    caughtBy: { file: adoption, test: 'ignores a record of another host boot' },
  },
  {
    fault: 'a VMM keeps root’s user id',
    guarantee: 'G20',
    file: 'src/engines/qemu/confine.ts',
    from: 'uid === null\n      ? []',
    to: 'uid !== undefined\n      ? []',
    caughtBy: { file: 'src/engines/qemu/confine.test.ts', test: 'drops user, groups and all capabilities' },
  },
  {
    fault: 'a socket is connected whoever made it',
    guarantee: 'G20',
    file: 'src/lib/owned-socket.ts',
    from: 'if (why !== null) throw',
    to: "if (why === '') throw",
    caughtBy: { file: 'src/lib/owned-socket.test.ts', test: 'refuses symbolic links' },
  },
  {
    fault: 'a published file is not synced before its rename',
    guarantee: 'G6',
    file: 'src/lib/files.ts',
    from: 'await handle.writeFile(data);\n      await handle.sync();',
    to: 'await handle.writeFile(data);',
    caughtBy: { file: files, test: 'writes, syncs the file' },
  },
  {
    fault: 'the name of a published file is not synced',
    guarantee: 'G6',
    file: 'src/lib/files.ts',
    from: '  await syncDirectory(dirname(path));\n}',
    to: '}',
    caughtBy: { file: files, test: 'writes, syncs the file' },
  },
  {
    fault: 'a disk is not synced before it gets its name',
    guarantee: 'G6',
    file: 'src/storage/disks/qcow-disks.ts',
    from: 'await syncFile(temporary);',
    to: '',
    caughtBy: { file: 'src/storage/disks/durable.test.ts', test: 'a disk is synced before' },
  },
  {
    fault: 'an older record replaces a newer one',
    guarantee: 'G21',
    file: 'src/storage/disks/records.ts',
    from: '> machine.revision) return;',
    to: '< 0) return;',
    caughtBy: { file: 'src/storage/disks/records.test.ts', test: 'a newer record is not replaced' },
  },
  {
    fault: 'a disk that was put aside ages by the clock',
    guarantee: 'G21',
    file: 'src/storage/disks/quarantine.ts',
    from: 'age === undefined ? 0 : age + byMs',
    to: 'Date.now() - disk.since.getTime()',
    caughtBy: { file: 'src/main/gc.test.ts', test: 'independently of its timestamp and the clock' },
  },
];
