import { describe, expect, it } from 'vitest';
import { importLimitsDefault, planRoom } from './making.ts';

const gib = 2 ** 30;
/** So much is free. */
const facts = (freeGib: number, freeInodes: number, inodes = 2 ** 24) => ({
  ...{ bavail: (freeGib * gib) / 4096, bsize: 4096 },
  ...{ files: inodes, ffree: freeInodes },
});

describe('how much may be unpacked', () => {
  it('is the limit where there is room, and more is the archive’s fault', () => {
    const room = planRoom(facts(1000, 2 ** 24), importLimitsDefault);
    expect(room).toMatchObject({ bytesMax: 64 * gib, entriesMax: 2_000_000 });
    expect([room.tooLarge.code, room.tooMany.code]).toEqual(['invalid', 'invalid']);
  });

  it('is half of the bytes beyond the reserve, and of the inodes', () => {
    const room = planRoom(facts(21, 1001), importLimitsDefault);
    expect(room).toMatchObject({ bytesMax: 10 * gib, entriesMax: 500 });
    expect([room.tooLarge.code, room.tooMany.code]).toEqual(['exhausted', 'exhausted']);
  });

  it('is nothing where one of them is used up', () => {
    for (const full of [facts(1, 1000), facts(10, 1)]) {
      expect(() => planRoom(full, importLimitsDefault)).toThrow('no room');
    }
  });

  it('is not bound by inodes where there is no number of them', () => {
    expect(planRoom(facts(1000, 0, 0), importLimitsDefault).entriesMax).toBe(2_000_000);
  });
});
